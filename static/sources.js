// The sheet of sources: this browser's camera and files first, then the sources of the program, for all viewers.

import { choices, remember } from "./choices.js";
import { $, loadStyle, setText } from "./dom.js";
import { fetchJson, postJson } from "./server.js";
import { TEXT } from "./texts.js";

const STYLE = new URL("sources/sheet.css", import.meta.url).href;

const menu = $("source-menu");
let page = null; // {onOpening(name), onProgram(source), onCamera(), onMirror(on), onQueue(), and what is shown: view(), source(), camera(), isPrivate()}
let loading = null; // of sources/sheet.js
let retry = null; // what "Try again" in the sheet does

export function bindSources(callbacks) {
  page = callbacks;
  menu.addEventListener("toggle", (event) => {
    const isOpen = event.newState === "open";
    $("source").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) fill();
    else loading?.then(({ closeSheet }) => closeSheet(), () => {});
  });
  const bind = (id, act) =>
    $(id).addEventListener("click", () => {
      menu.hidePopover();
      act();
    });
  bind("own-camera", () => page.onCamera());
  bind("own-images", () => $("files").click());
  bind("own-folder", () => $("folder").click());
  bind("own-queue", () => page.onQueue());
  $("source-retry").addEventListener("click", () => retry());
  $("source-look").addEventListener("click", fill);
  $("url").value = choices.address;
  $("url-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const url = $("url").value.trim();
    if (url && (await choose(url, url))) remember({ address: isSecret(url) ? "" : url });
  });
}

/** Whether an address may contain a password or key, which must not stay in the browser. */
const isSecret = (url) => /[@?]/.test(url);

export const openSheet = () => menu.showPopover();

/** Show what has changed meanwhile: the camera, mirroring or privacy mode. */
export function refreshSheet() {
  if (!menu.matches(":popover-open")) return;
  loading?.then((sheet) => {
    sheet.showCamera(page);
    sheet.showFiles();
  }, () => {}); // what is not loaded shows nothing that could have changed
}

/** Fill the sheet with what can be chosen now. */
async function fill() {
  showNote("");
  try {
    loading ??= load();
    loading.catch(() => (loading = null)); // so that the user can try again
    const { showCamera, showPrograms } = await loading;
    showCamera(page);
    showPrograms(page, await fetchJson("api/sources"), choose);
  } catch {
    showNote(TEXT.sources.list, fill);
  }
}

/** The modules and styles of the sheet, which are needed only once it is open. */
async function load() {
  menu.classList.add("loading");
  try {
    const [sheet] = await Promise.all([import("./sources/sheet.js"), loadStyle(STYLE)]);
    return sheet;
  } finally {
    menu.classList.remove("loading");
    if (!menu.contains(document.activeElement)) $("own-camera").focus();
  }
}

/** Switch the program to another source; if it cannot be opened, the previous one continues and the sheet shows why. */
async function choose(source, name) {
  showNote(TEXT.sources.opening(name));
  menu.classList.add("busy");
  const isOpen = await open("api/source", { source }, name, (text) => showNote(text, () => choose(source, name)));
  if (isOpen) menu.hidePopover();
  return isOpen;
}

/** Open the program's source again: a file that has ended, or a camera that is missing. */
export const openAgain = (name, onError) => open("api/source/again", {}, name, onError);

async function open(path, body, name, onError) {
  page.onOpening(name);
  try {
    const { source } = await postJson(path, body);
    page.onProgram(source);
    return true;
  } catch (error) {
    page.onOpening(null);
    onError(error.message);
    return false;
  } finally {
    menu.classList.remove("busy");
  }
}

/** again(): what "Try again" does, after an error. */
function showNote(text, again = null) {
  retry = again;
  $("source-note").hidden = !text;
  $("source-note").classList.toggle("error-note", Boolean(again));
  setText($("source-words"), text);
  $("source-retry").hidden = !again;
}
