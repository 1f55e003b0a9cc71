// Images that are dropped on the page or chosen: analysed once, shown with boxes and bars, saved as picture and JSON.

import { pictureFile, shownSize } from "./canvas.js";
import { $, cloneOf, note, pause, saveFile, setText } from "./dom.js";
import { Cover } from "./privacy.js";
import { ask } from "./server.js";
import { TEXT } from "./texts.js";

const MOST = 16;
const THUMBNAIL = 96;
const ANALYSIS_MS = 60000; // a photo of 60 MB over a phone's network
const CROWDED_MS = 1000;

let job = new AbortController(); // ended when other images, or none, are wanted
let results = []; // {name, bitmap, answer} or {name, bitmap, error}
let current = 0;
let show = null; // shows one result
let isPrivate = () => false;

/** Let the user drop or choose images; open(files) is called with them, hidden() says whether faces must not be seen. */
export function bindImages(open, hidden) {
  isPrivate = hidden;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").hidden = true;
    take([...event.dataTransfer.files], open);
  });
  $("files").addEventListener("change", () => {
    take([...$("files").files], open);
    $("files").value = ""; // the same file can be chosen again
  });
  $("save-png").addEventListener("click", savePicture);
  $("save-json").addEventListener("click", saveJson);
}

async function savePicture() {
  const result = results[current];
  const file = result && (await pictureFile());
  if (file) saveFile(file, `${stem(result)}-mien.png`);
}

function saveJson() {
  const result = results[current];
  if (!result) return; // the first answer is still to come
  const { name, answer, error } = result;
  const text = JSON.stringify({ name, ...(answer ?? { error }) }, null, 2);
  saveFile(new Blob([text], { type: "application/json" }), `${stem(result)}-mien.json`);
}

const stem = ({ name }) => name.replace(/\.[^.]*$/, "");

function take(files, open) {
  const images = files.filter((file) => file.type.startsWith("image/"));
  if (!images.length) return note(TEXT.images.none);
  if (images.length > MOST) note(TEXT.images.tooMany(images.length));
  return open(images.slice(0, MOST));
}

/**
 * Send images to be analysed, one after the other: what is slow or too large costs no other its answer.
 * showResult(result) is called with the one to be seen: the first as soon as it is answered, another when it is wanted.
 */
export async function analyzeImages(files, showResult) {
  closeImages();
  const { signal } = (job = new AbortController());
  show = showResult;
  for (const file of files) {
    const [bitmap, found] = await Promise.all([bitmapOf(file), analyzed(file, signal)]);
    if (signal.aborted) {
      bitmap?.close();
      return;
    }
    add({ name: file.name, bitmap, ...found });
  }
}

/** The picture of a file, as large as it is shown; null where the browser can not read it. */
async function bitmapOf(file) {
  try {
    const whole = await createImageBitmap(file);
    const [resizeWidth, resizeHeight] = shownSize(whole);
    const bitmap = await createImageBitmap(whole, { resizeWidth, resizeHeight, resizeQuality: "high" });
    whole.close();
    return bitmap;
  } catch {
    return null;
  }
}

/** {answer} or {error}; where others have all places, it is asked again until there is one. */
async function analyzed(file, signal) {
  for (const end = performance.now() + ANALYSIS_MS; ; await pause(CROWDED_MS)) {
    try {
      return { answer: await ask("/api/analyze", { method: "POST", body: file, signal, limitMs: ANALYSIS_MS }) };
    } catch (error) {
      if (error.status !== 429 || signal.aborted || performance.now() > end) return { error: error.message };
    }
  }
}

export function closeImages() {
  job.abort();
  for (const { bitmap } of results) bitmap?.close();
  results = [];
  $("strip").replaceChildren();
  $("strip").hidden = true;
  setText($("image-name"), "");
}

/** Show the same again, as after a change of privacy. */
export function refreshImages() {
  if (!results.length) return;
  $("strip").replaceChildren(...results.map(newItem));
  select(current);
}

function add(result) {
  results.push(result);
  $("strip").append(newItem(result, results.length - 1));
  $("strip").hidden = results.length < 2;
  if (results.length === 1) select(0);
}

function newItem({ name, bitmap }, index) {
  const item = cloneOf("strip-item");
  const button = item.querySelector("button");
  button.setAttribute("aria-label", TEXT.images.show(name));
  button.title = name;
  button.addEventListener("click", () => select(index));
  if (bitmap) drawCovering(item.querySelector("canvas"), bitmap);
  return item;
}

function drawCovering(canvas, bitmap) {
  canvas.width = canvas.height = THUMBNAIL;
  const side = Math.min(bitmap.width, bitmap.height);
  const from = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side];
  const pen = canvas.getContext("2d", { alpha: false });
  pen.drawImage(bitmap, ...from, 0, 0, THUMBNAIL, THUMBNAIL);
  if (isPrivate()) new Cover().hide(pen, [], 0); // so small a picture is covered as a whole
}

function select(index) {
  current = index;
  [...$("strip").children].forEach((item, i) => {
    item.querySelector("button").setAttribute("aria-pressed", String(i === index));
  });
  const result = results[index];
  setText($("image-name"), result.name);
  show(result);
}
