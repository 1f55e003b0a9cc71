// A few images, dropped on the page or chosen: analyzed, displayed with boxes and bars, saved as picture or JSON.

import { pictureFile, shownSize } from "./canvas.js";
import { $, cloneOf, pause, saveFile, setText } from "./dom.js";
import { PrivacyFilter } from "./privacy.js";
import { fetchJson } from "./server.js";
import { TEXT } from "./texts.js";

const THUMBNAIL = 96;
const ANALYSIS_MS = 60000; // a photo of 60 MB over a phone's network
const BUSY_RETRY_MS = 1000;

let job = new AbortController(); // aborted when other images are opened or the view is left
let results = []; // {name, bitmap, answer} or {name, bitmap, error}
let current = 0;
let show = null; // shows one result
let isPrivate = () => false;
let wantsLandmarks = () => false;

/** isPrivate() tells whether faces must be pixelated, wantsLandmarks() whether landmarks are displayed. */
export function bindImages(page) {
  ({ isPrivate, wantsLandmarks } = page);
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
  if (!result) return; // no answer yet
  const { name, answer, error } = result;
  const text = JSON.stringify({ name, ...(answer ?? { error }) }, null, 2);
  saveFile(new Blob([text], { type: "application/json" }), `${stem(result)}-mien.json`);
}

const stem = ({ name }) => name.replace(/\.[^.]*$/, "");

/**
 * Send images for analysis, one at a time, so that a slow or oversized image does not affect the others.
 * showResult(result) is called with the one to display: the first as soon as it is analyzed, later the selected one.
 */
export async function analyzeImages(files, showResult) {
  closeImages();
  const { signal } = (job = new AbortController());
  show = showResult;
  for (const file of files) {
    const [bitmap, found] = await Promise.all([bitmapOf(file), analyze(file, signal)]);
    if (signal.aborted) {
      bitmap?.close();
      return;
    }
    add({ name: file.name, bitmap, ...found });
  }
}

/** The picture of a file in the size it is displayed; null if the browser cannot decode it. */
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

/** {answer} or {error}; repeats the request while the program is busy. */
async function analyze(file, signal) {
  for (const end = performance.now() + ANALYSIS_MS; ; await pause(BUSY_RETRY_MS)) {
    try {
      const url = wantsLandmarks() ? "api/analyze?landmarks=1" : "api/analyze";
      return { answer: await fetchJson(url, { method: "POST", body: file, signal, limitMs: ANALYSIS_MS }) };
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

/** Display the same result again, as after switching privacy mode. */
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
  if (bitmap) drawCropped(item.querySelector("canvas"), bitmap);
  return item;
}

function drawCropped(canvas, bitmap) {
  canvas.width = canvas.height = THUMBNAIL;
  const side = Math.min(bitmap.width, bitmap.height);
  const from = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side];
  const context = canvas.getContext("2d", { alpha: false });
  context.drawImage(bitmap, ...from, 0, 0, THUMBNAIL, THUMBNAIL);
  if (isPrivate()) new PrivacyFilter().apply(context, [], 0); // a thumbnail is pixelated as a whole
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
