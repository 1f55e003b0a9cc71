// The menu of sources: those of the program, for everybody, and those of this browser alone.

import { $, cloneOf, setText } from "./dom.js";
import { ask, tell } from "./server.js";
import { TEXT } from "./texts.js";

const menu = $("source-menu");
let page = null; // {onProgram(source), onCamera(), isLive()}

export function bindSources(callbacks) {
  page = callbacks;
  menu.addEventListener("toggle", (event) => {
    $("source").setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") list();
  });
  $("own-camera").addEventListener("click", () => {
    menu.hidePopover();
    page.onCamera();
  });
  $("own-images").addEventListener("click", () => {
    menu.hidePopover();
    $("files").click();
  });
  $("url-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = $("url").value.trim();
    if (url) choose(url, url);
  });
}

async function list() {
  say("");
  let answer;
  try {
    answer = await ask("/api/sources");
  } catch {
    return say(TEXT.sources.list);
  }
  const current = page.isLive() ? answer.current : null;
  const files = answer.files ?? [];
  $("source-list").replaceChildren(...answer.sources.map(({ source, name }) => item(source, name, current)));
  $("source-files").hidden = !files.length;
  $("file-list").replaceChildren(...files.map((file) => item(file, file, current)));
  return undefined;
}

function item(source, name, current) {
  const entry = cloneOf("source-item");
  const button = entry.querySelector("button");
  setText(button, name);
  if (source === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => choose(source, name));
  return entry;
}

/** The program takes another source; where it can not, the old one goes on, and the menu says why. */
async function choose(source, name) {
  say(TEXT.sources.opening(name));
  menu.classList.add("busy");
  try {
    const answer = await tell("/api/source", { source });
    menu.hidePopover();
    $("url").value = "";
    page.onProgram(answer.source);
  } catch (error) {
    say(error.message, true);
  } finally {
    menu.classList.remove("busy");
  }
}

function say(text, isError = false) {
  $("source-note").hidden = !text;
  $("source-note").classList.toggle("error-note", isError);
  setText($("source-note"), text);
}
