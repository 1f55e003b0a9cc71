// The picture and its overlay: two canvases that always show the same frame.

import { $, clearedContext, textScale } from "./dom.js";
import { fontSize } from "./labels.js";
import { drawFaces, placement } from "./overlay.js";

const MAX_SIDE = 1920; // pixels in the canvas: screens show no more, and a photo of 50 megapixels would be slow

const picture = $("picture");
const overlay = $("overlay");

const slots = new Map(); // face id -> place of its label

/** What is displayed now: the faces in pixels of the canvas, and the scale from frame to canvas. */
let shown = null;

export const display = { mirrored: false, threshold: 0.5, minQuality: 0, heats: new Map(), landmarks: false };

/** Whether a picture is displayed. */
export const hasPicture = () => shown !== null;

/** [width, height] of a picture in the canvas. */
export function shownSize({ width, height }) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
}

/**
 * Show a picture with the faces of the same frame. frameWidth: width of the frame that the boxes refer to.
 * filter(context, faces): pixelates what privacy mode hides, before the picture is displayed.
 */
export function showPicture(source, { faces = [], index = null, frameWidth = source.width, filter = null } = {}) {
  const [width, height] = shownSize(source);
  const scale = width / frameWidth;
  if (picture.width !== width) picture.width = width;
  if (picture.height !== height) picture.height = height;
  const context = picture.getContext("2d", { alpha: false });
  context.drawImage(source, 0, 0, width, height);
  shown = { faces: faces.map((face) => scaled(face, scale)), scale };
  if (filter) pixelate(filter, context);
  picture.dataset.frame = index ?? "";
  if (picture.hidden) {
    picture.hidden = overlay.hidden = false;
    $("notice").hidden = true;
  }
  $("stage").style.setProperty("--aspect", width / height);
  drawOverlay();
}

/** Apply privacy mode to the picture that is already displayed. */
export function filterShown(filter) {
  if (!shown) return;
  pixelate(filter, picture.getContext("2d"));
  drawOverlay();
}

/** A picture that cannot be pixelated is blacked out. */
function pixelate(filter, context) {
  try {
    filter(context, shown.faces);
  } catch (error) {
    context.fillRect(0, 0, picture.width, picture.height);
    throw error;
  }
}

const scaled = (face, scale) => {
  const { x, y, w, h } = face.box;
  const landmarks = face.landmarks?.map((point) => [point[0] * scale, point[1] * scale]);
  return { ...face, box: { x: x * scale, y: y * scale, w: w * scale, h: h * scale }, landmarks };
};

/** Show a text instead of a picture. */
export function showNotice(text) {
  shown = null;
  picture.hidden = overlay.hidden = true;
  $("notice").hidden = false;
  $("notice").textContent = text;
}

/** Redraw the overlay, as after a change of size, theme or display settings. */
export function drawOverlay() {
  if (!shown) return;
  const context = clearedContext(overlay);
  const transform = placement(picture.width, picture.height, overlay.width, overlay.height, display.mirrored);
  const fontPx = fontSize($("stage").clientHeight, textScale()) * devicePixelRatio;
  drawFaces(context, shown.faces, transform, { ...display, unit: devicePixelRatio, fontPx, slots });
  overlay.dataset.frame = picture.dataset.frame;
}

export function showLandmarks(on) {
  display.landmarks = on;
  drawOverlay();
}

export function setMirrored(mirrored) {
  display.mirrored = mirrored;
  document.body.classList.toggle("mirrored", mirrored);
  drawOverlay();
}

/** Draw a face of the picture, with a margin, on a small square canvas. */
export function drawThumbnail(canvas, box) {
  const side = 1.2 * Math.max(box.w, box.h) * shown.scale;
  const x = (box.x + box.w / 2) * shown.scale - side / 2;
  const y = (box.y + box.h / 2) * shown.scale - side / 2;
  const context = canvas.getContext("2d", { alpha: false });
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, x, y, side, side, 0, 0, canvas.width, canvas.height);
}

/** Paint the picture as displayed, including boxes, on another canvas. fontPx: size of labels if not the usual one. */
export function paintPicture(canvas, { maxWidth = Infinity, fontPx = null } = {}) {
  const scale = Math.min(1, maxWidth / picture.width);
  const [width, height] = [picture.width, picture.height].map((side) => Math.round(side * scale));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context.save();
  if (display.mirrored) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
  const style = { ...display, unit: Math.max(1, height / 540), fontPx: fontPx ?? fontSize(height) };
  const transform = placement(picture.width, picture.height, width, height, display.mirrored);
  drawFaces(context, shown?.faces ?? [], transform, style);
}

/** The picture as displayed, including boxes, as a PNG file; null without a picture. */
export async function pictureFile() {
  if (!shown) return null;
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  paintPicture(canvas);
  return canvas.convertToBlob({ type: "image/png" });
}

new ResizeObserver(drawOverlay).observe(overlay);
