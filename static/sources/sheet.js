// What is in the sheet of sources: loaded when it is opened first.

import { remember, choices } from "../choices.js";
import { $, cloneOf, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { FileList } from "./file_list.js";

const files = new FileList();

// ---- this browser's camera

let page = null;
let devices = []; // the cameras of this device, once the browser names them

navigator.mediaDevices?.addEventListener?.("devicechange", () => page && showCamera(page));
$("camera-device").addEventListener("change", () => chooseCamera({ device: $("camera-device").value }));
$("camera-size").addEventListener("change", () => chooseCamera({ size: $("camera-size").value }));
$("camera-mirror").addEventListener("change", () => page.onMirror($("camera-mirror").checked));

function chooseCamera(changes) {
  remember(changes);
  if (page.view() === "camera") page.onCamera();
}

/** Show the cameras and what is chosen of them. */
export async function showCamera(given) {
  page = given;
  const isShown = page.view() === "camera";
  setCurrent($("own-camera"), isShown);
  $("camera-size").value = choices.size;
  $("camera-mirror").checked = choices.mirror;
  const granted = isShown ? page.camera() : null;
  setText($("camera-granted"), granted ? TEXT.sources.granted(granted) : "");
  devices = await namedCameras();
  $("camera-device-row").hidden = !devices.length;
  $("camera-unnamed").hidden = devices.length > 0 || !navigator.mediaDevices;
  $("camera-device").replaceChildren(...devices.map(({ label, deviceId }) => new Option(label, deviceId)));
  const wanted = [granted?.deviceId, choices.device].find((id) => devices.some(({ deviceId }) => deviceId === id));
  if (wanted) $("camera-device").value = wanted;
}

/** Browsers name cameras only after the user has allowed the page to use one. */
async function namedCameras() {
  try {
    const found = await navigator.mediaDevices.enumerateDevices();
    return found.filter(({ kind, label, deviceId }) => kind === "videoinput" && label && deviceId);
  } catch {
    return []; // not offered to pages that are opened over plain HTTP from another computer
  }
}

// ---- the program's sources

let answer = null; // of api/sources
let choose = null; // (source, name)

/** Show what the program offers; choose(source, name) is called with what the user chooses. */
export function showPrograms(given, offered, onChoose) {
  [page, answer, choose] = [given, offered, onChoose];
  const isLive = page.view() === "live";
  const current = isLive ? answer.current : null;
  const demo = answer.sources.filter(({ source }) => source === "demo");
  const cameras = answer.sources.filter(({ source }) => source !== "demo");
  const items = (list) => list.map(({ source, name }) => newItem(source, name, current));
  $("source-list").replaceChildren(...items(cameras));
  $("source-none").hidden = cameras.length > 0;
  $("demo-list").replaceChildren(...items(demo));
  const other = isLive && current === null ? page.source() : null; // an address, or a file that is in no list
  $("source-now").hidden = !other;
  setCurrent($("source-now"), other !== null);
  setText($("source-now"), other ?? "");
  showFiles();
}

/** Show the files again, as after a change of privacy mode. */
export function showFiles() {
  if (!answer) return;
  const current = page.view() === "live" ? answer.current : null;
  files.show(answer.files ?? [], { current, isPrivate: page.isPrivate(), choose });
}

function newItem(source, name, current) {
  const entry = cloneOf("source-item");
  const button = entry.querySelector("button");
  setText(button, name);
  setCurrent(button, source === current);
  button.addEventListener("click", () => choose(source, name));
  return entry;
}

function setCurrent(element, isCurrent) {
  if (isCurrent) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}

/** Nobody looks at the sheet any more. */
export const closeSheet = () => files.pause();
