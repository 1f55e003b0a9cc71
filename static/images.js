// Images that are dropped on the page or chosen: analysed once, shown with boxes and bars, saved as picture and JSON.

import { Cover } from "./cover.js";
import { $, cloneOf, note, saveFile, setText } from "./dom.js";
import { ask } from "./server.js";
import { pictureFile } from "./stage.js";
import { TEXT } from "./texts.js";

const MOST = 16;
const THUMBNAIL = 96;

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
  $("save-png").addEventListener("click", async () => {
    const file = await pictureFile();
    if (file) saveFile(file, `${stem()}-mien.png`);
  });
  $("save-json").addEventListener("click", () => {
    const { name, answer, error } = results[current];
    const text = JSON.stringify({ name, ...(answer ?? { error }) }, null, 2);
    saveFile(new Blob([text], { type: "application/json" }), `${stem()}-mien.json`);
  });
}

const stem = () => results[current].name.replace(/\.[^.]*$/, "");

function take(files, open) {
  const images = files.filter((file) => file.type.startsWith("image/"));
  if (!images.length) return note(TEXT.images.none);
  if (images.length > MOST) note(TEXT.images.tooMany(images.length));
  return open(images.slice(0, MOST));
}

/** Send images to be analysed and call showResult(result) with the one to be seen, now and when another is wanted. */
export async function analyzeImages(files, showResult) {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name);
  const [bitmaps, answers] = await Promise.all([
    Promise.all(files.map((file) => createImageBitmap(file).catch(() => null))),
    sent(form, files.length),
  ]);
  closeImages();
  results = files.map(({ name }, i) => {
    const { error, status, ...answer } = answers[i];
    return { name, bitmap: bitmaps[i], ...(error ? { error } : { answer }) };
  });
  show = showResult;
  select(0);
}

/** An answer for each image; where the whole request failed, the same error for each. */
async function sent(form, count) {
  try {
    const answer = await ask("/api/analyze", { method: "POST", body: form });
    return answer.images ?? [answer];
  } catch (error) {
    return Array(count).fill({ error: error.message });
  }
}

export function closeImages() {
  for (const { bitmap } of results) bitmap?.close();
  results = [];
  $("strip").replaceChildren();
}

/** Show the same again, as after a change of privacy. */
export function refreshImages() {
  if (results.length) select(current);
}

function buildStrip() {
  $("strip").hidden = results.length < 2;
  $("strip").replaceChildren(
    ...results.map(({ name, bitmap }, i) => {
      const item = cloneOf("strip-item");
      const button = item.querySelector("button");
      button.setAttribute("aria-label", TEXT.images.show(name));
      button.title = name;
      button.addEventListener("click", () => select(i));
      if (bitmap) drawCovering(item.querySelector("canvas"), bitmap);
      return item;
    }),
  );
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
  buildStrip();
  [...$("strip").children].forEach((item, i) => {
    item.querySelector("button").setAttribute("aria-pressed", String(i === index));
  });
  const result = results[index];
  setText($("image-name"), result.name);
  show(result);
}
