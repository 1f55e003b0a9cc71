// The page for programs: examples with this program's own address, and routes that can be tried.

import { ask } from "../ask.js";
import { fillTexts, note, setText } from "../dom.js";
import { bindLanguage } from "../language.js";
import { TEXT } from "../texts.js";

const LIMIT_MS = 20000;
const MAX_SHOWN = 20000; // characters
const PART_BYTES = 20000; // of a stream, if no event ends before

const ROOT = new URL("../..", import.meta.url);
let mayChange = false; // whether the user has agreed that a try changes something

/** The examples name the address that a program has by default. */
function fillAddresses() {
  for (const code of document.querySelectorAll(".example code")) {
    code.textContent = code.textContent
      .replaceAll("http://localhost:5000/", ROOT.href)
      .replaceAll("ws://localhost:", `ws://${ROOT.hostname}:`);
  }
}

function bindExample(section) {
  section.querySelector(".copy").addEventListener("click", async () => {
    const code = section.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      note(TEXT.programs.copied);
    } catch { // only pages on localhost or over HTTPS may
      getSelection().selectAllChildren(code);
      note(document.execCommand("copy") ? TEXT.programs.copied : TEXT.programs.selected);
    }
  });
}

/** The request that a form describes: [address, options]. */
function requestOf(section) {
  let { path } = section.dataset;
  const query = new URLSearchParams();
  for (const { name, value, dataset } of section.querySelectorAll("[data-in]")) {
    if (dataset.in === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value) query.append(name, value);
  }
  const options = { method: section.dataset.method, cache: "no-store" };
  const file = section.querySelector("[type=file]")?.files[0];
  const json = section.querySelector(".body");
  if (file) Object.assign(options, { body: file, headers: { "Content-Type": file.type || "application/octet-stream" } });
  if (json) Object.assign(options, { body: json.value, headers: { "Content-Type": "application/json" } });
  if (file && path.endsWith("jobs") && !query.has("name")) query.append("name", file.name);
  return [`${ROOT.href}${path.slice(1)}${query.size ? `?${query}` : ""}`, options];
}

async function tryRoute(section) {
  if ("changes" in section.dataset && !mayChange) {
    mayChange = await ask(TEXT.programs.ask);
    if (!mayChange) return;
  }
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), LIMIT_MS);
  section.querySelector("button").disabled = true;
  try {
    const [address, options] = requestOf(section);
    const begun = performance.now();
    const answer = await fetch(address, { ...options, signal: stop.signal });
    await show(section, answer, performance.now() - begun);
  } catch {
    showText(section, TEXT.noAnswer, "");
  } finally {
    clearTimeout(timer);
    stop.abort(); // a stream would go on
    section.querySelector("button").disabled = false;
  }
}

async function show(section, answer, ms) {
  const type = answer.headers.get("Content-Type") ?? "";
  const status = TEXT.programs.status(`${answer.status} ${answer.statusText}`, type || "–", ms);
  const image = section.querySelector(".result img");
  URL.revokeObjectURL(image.src);
  image.hidden = !type.startsWith("image/");
  if (!image.hidden) image.src = URL.createObjectURL(await answer.blob());
  if (!image.hidden || /^(video|multipart|application\/vnd)/.test(type)) return showText(section, status, "");
  if (type.startsWith("text/event-stream")) return showText(section, status, await firstEvent(answer));
  const text = await answer.text();
  return showText(section, status, type.startsWith("application/json") ? pretty(text) : text);
}

function showText(section, status, text) {
  const result = section.querySelector(".result");
  result.hidden = false;
  setText(result.querySelector(".result-status"), status);
  result.querySelector("pre").hidden = !text;
  setText(result.querySelector("pre code"), text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The first event of a stream that has data. */
async function firstEvent(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    const data = text.match(/^data: ?(.*)\n\n/m);
    if (data) return pretty(data[1]);
    if (text.length > PART_BYTES) return text;
  }
}

fillTexts();
fillAddresses();
bindLanguage();
document.querySelectorAll(".example").forEach(bindExample);
for (const section of document.querySelectorAll(".route")) {
  section.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    tryRoute(section);
  });
}
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);
