// The menu of sources: those of the program, for all viewers, and those of this browser only.

import { $, cloneOf, setText } from "./dom.js";
import { fetchJson, postJson } from "./server.js";
import { TEXT } from "./texts.js";

const menu = $("source-menu");
let page = null; // {onProgram(source), onCamera(), onQueue(), isLive()}

export function bindSources(callbacks) {
  page = callbacks;
  menu.addEventListener("toggle", (event) => {
    $("source").setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") loadList();
  });
  $("own-camera").addEventListener("click", () => {
    menu.hidePopover();
    page.onCamera();
  });
  for (const [button, input] of [["own-images", "files"], ["own-folder", "folder"]]) {
    $(button).addEventListener("click", () => {
      menu.hidePopover();
      $(input).click();
    });
  }
  $("own-queue").addEventListener("click", () => {
    menu.hidePopover();
    page.onQueue();
  });
  $("url-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = $("url").value.trim();
    if (url) choose(url, url);
  });
}

async function loadList() {
  showNote("");
  let answer;
  try {
    answer = await fetchJson("api/sources");
  } catch {
    return showNote(TEXT.sources.list);
  }
  const current = page.isLive() ? answer.current : null;
  const files = answer.files ?? [];
  $("source-list").replaceChildren(...answer.sources.map(({ source, name }) => newItem(source, name, current)));
  $("source-files").hidden = !files.length;
  $("file-list").replaceChildren(...files.map((file) => newItem(file, file, current)));
  return undefined;
}

function newItem(source, name, current) {
  const entry = cloneOf("source-item");
  const button = entry.querySelector("button");
  setText(button, name);
  if (source === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => choose(source, name));
  return entry;
}

/** Switch the program to another source; if it cannot be opened, the previous one continues and the menu shows why. */
async function choose(source, name) {
  showNote(TEXT.sources.opening(name));
  menu.classList.add("busy");
  try {
    const answer = await postJson("api/source", { source });
    menu.hidePopover();
    $("url").value = "";
    page.onProgram(answer.source);
  } catch (error) {
    showNote(error.message, true);
  } finally {
    menu.classList.remove("busy");
  }
}

function showNote(text, isError = false) {
  $("source-note").hidden = !text;
  $("source-note").classList.toggle("error-note", isError);
  setText($("source-note"), text);
}
