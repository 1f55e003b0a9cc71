// The picture and what is drawn over it: two canvases of one frame, drawn in one step.

import { $ } from "./dom.js";
import { drawFaces, placement } from "./overlay.js";

const MAX_SIDE = 1920; // of a picture in the canvas: no screen shows more, and a photo of 50 megapixels would stall

const picture = $("picture");
const overlay = $("overlay");

/** What is shown now: the faces in pixels of the canvas, and the scale from the frame to it. */
let shown = null;

export const look = { mirrored: false, threshold: 0.5, heats: new Map() };

/** Whether there is a picture on the stage. */
export const hasPicture = () => shown !== null;

/** [width, height] of a picture in the canvas. */
export function shownSize({ width, height }) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
}

/**
 * Show a picture with the faces of the same frame. frameWidth: of the frame that the boxes are measured in.
 * cover(pen, faces): hides what privacy mode hides, before it is seen.
 */
export function showPicture(source, { faces = [], index = null, frameWidth = source.width, cover = null } = {}) {
  const [width, height] = shownSize(source);
  const scale = width / frameWidth;
  if (picture.width !== width) picture.width = width;
  if (picture.height !== height) picture.height = height;
  const pen = picture.getContext("2d", { alpha: false });
  pen.drawImage(source, 0, 0, width, height);
  shown = { faces: faces.map((face) => scaled(face, scale)), scale };
  if (cover) hideWith(cover, pen);
  picture.dataset.frame = index ?? "";
  if (picture.hidden) {
    picture.hidden = overlay.hidden = false;
    $("notice").hidden = true;
  }
  $("stage").style.setProperty("--aspect", width / height);
  drawOverlay();
}

/** Hide what is to be hidden of the picture that is shown already. */
export function coverShown(cover) {
  if (!shown) return;
  hideWith(cover, picture.getContext("2d"));
  drawOverlay();
}

/** What can not be hidden is not shown. */
function hideWith(cover, pen) {
  try {
    cover(pen, shown.faces);
  } catch (error) {
    pen.fillRect(0, 0, picture.width, picture.height);
    throw error;
  }
}

const scaled = (face, scale) => {
  const { x, y, w, h } = face.box;
  return { ...face, box: { x: x * scale, y: y * scale, w: w * scale, h: h * scale } };
};

/** Until there is a picture, its place says why. */
export function showNotice(text) {
  shown = null;
  picture.hidden = overlay.hidden = true;
  $("notice").hidden = false;
  $("notice").textContent = text;
}

/** Draw the overlay anew, as after a change of size, of theme or of what is to be seen. */
export function drawOverlay() {
  if (!shown) return;
  const unit = devicePixelRatio;
  const width = Math.round(overlay.clientWidth * unit);
  const height = Math.round(overlay.clientHeight * unit);
  if (overlay.width !== width) overlay.width = width;
  if (overlay.height !== height) overlay.height = height;
  const pen = overlay.getContext("2d");
  pen.clearRect(0, 0, width, height);
  const place = placement(picture.width, picture.height, width, height, look.mirrored);
  drawFaces(pen, shown.faces, place, { ...look, unit });
  overlay.dataset.frame = picture.dataset.frame;
}

export function setMirrored(mirrored) {
  look.mirrored = mirrored;
  document.body.classList.toggle("mirrored", mirrored);
  drawOverlay();
}

/** Cut a face from the picture, with some room around it, onto a small square canvas. */
export function drawThumbnail(canvas, box) {
  const side = 1.2 * Math.max(box.w, box.h) * shown.scale;
  const x = (box.x + box.w / 2) * shown.scale - side / 2;
  const y = (box.y + box.h / 2) * shown.scale - side / 2;
  const pen = canvas.getContext("2d", { alpha: false });
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, x, y, side, side, 0, 0, canvas.width, canvas.height);
}

/** The picture as it is seen, boxes and all, as a PNG; null without a picture. */
export async function pictureFile() {
  if (!shown) return null;
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  pen.save();
  if (look.mirrored) pen.setTransform(-1, 0, 0, 1, width, 0);
  pen.drawImage(picture, 0, 0);
  pen.restore();
  const unit = Math.max(1, Math.min(width, height) / 540);
  drawFaces(pen, shown.faces, placement(width, height, width, height, look.mirrored), { ...look, unit });
  return canvas.convertToBlob({ type: "image/png" });
}

new ResizeObserver(drawOverlay).observe(overlay);
