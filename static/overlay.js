// Draws boxes, labels and heat maps over a picture, sharp at any size.

import { INK, ON_PICTURE } from "./colors.js";
import { drawLandmarks } from "./landmarks.js";
import { TEXT } from "./texts.js";

const FONT = '600 SIZEpx system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

const MAX_LABEL_WIDTH = 1.5; // in widths of its box

/**
 * Fit a picture of w x h into an area, as large as possible and centered: the transform from picture to area.
 * mirrored: swap left and right, of boxes as of the picture, but not of text.
 */
export function placement(w, h, areaW, areaH, mirrored = false) {
  const scale = Math.min(areaW / w, areaH / h);
  return { w, h, scale, left: (areaW - w * scale) / 2, top: (areaH - h * scale) / 2, mirrored };
}

/** A box of the picture in pixels of the area. */
export function boxIn(transform, box) {
  const x = transform.mirrored ? transform.w - box.x - box.w : box.x;
  return {
    x: transform.left + x * transform.scale,
    y: transform.top + box.y * transform.scale,
    w: box.w * transform.scale,
    h: box.h * transform.scale,
  };
}

/** A point of the picture in pixels of the area. */
const pointIn = ({ mirrored, w, left, top, scale }, [x, y]) => [left + (mirrored ? w - x : x) * scale, top + y * scale];

/**
 * Draw each face's box and label. heats: Map of face id to a heat map drawn over its box. landmarks: whether to draw
 * them where a face has them.
 * unit: pixels of the canvas per pixel of the page. limits: threshold and minQuality, below which a face is unsure.
 */
export function drawFaces(context, faces, transform, { unit = 1, heats = new Map(), landmarks, ...limits } = {}) {
  for (const face of faces) {
    const heat = heats.get(face.id);
    if (heat) drawHeat(context, heat, boxIn(transform, face.box), transform.mirrored);
  }
  for (const face of landmarks ? faces : []) {
    const points = face.landmarks?.map((point) => pointIn(transform, point));
    if (points) drawLandmarks(context, points, unit);
  }
  for (const face of faces) drawBox(context, boxIn(transform, face.box), colorOf(face, limits), unit);
  for (const face of faces) drawLabel(context, face, transform, unit, limits);
}

/** Whether the confidence or the quality of a face is too low to rely on its label. */
export const isUnsure = (face, { threshold = 0, minQuality = 0 }) =>
  face.confidence < threshold || (face.quality ?? 1) < minQuality;

const colorOf = (face, limits) => (isUnsure(face, limits) ? ON_PICTURE.neutral : ON_PICTURE[face.label]);

function drawHeat(context, heat, box, mirrored) {
  context.save();
  context.imageSmoothingQuality = "high";
  if (mirrored) {
    context.translate(2 * box.x + box.w, 0);
    context.scale(-1, 1);
  }
  context.drawImage(heat, box.x, box.y, box.w, box.h);
  context.restore();
}

function drawBox(context, box, color, unit) {
  const radius = Math.min(6 * unit, box.w / 8);
  context.beginPath();
  context.roundRect(box.x, box.y, box.w, box.h, radius);
  context.strokeStyle = "rgb(0 0 0 / 45%)"; // keeps the box visible on a background of the same color
  context.lineWidth = 4 * unit;
  context.stroke();
  context.strokeStyle = color;
  context.lineWidth = 2 * unit;
  context.stroke();
}

/** Text and size that fit the box; without the percentage if the box is small, so as not to hide other labels. */
function labelText(context, face, box, unit, limits) {
  const word = isUnsure(face, limits) ? TEXT.unsure : face.label;
  const full = TEXT.boxLabel(face.id, word, face.confidence);
  const widthOf = (text, size) => {
    context.font = FONT.replace("SIZE", size);
    return context.measureText(text).width + 1.1 * size;
  };
  const size = Math.min(14 * unit, Math.max(11 * unit, (14 * unit * box.w) / widthOf(full, 14 * unit)));
  const text = widthOf(full, size) > MAX_LABEL_WIDTH * box.w ? TEXT.boxLabel(face.id, word) : full;
  return { text, size, w: widthOf(text, size) };
}

/** Draw a label on the box's upper edge, no wider than the box if that is readable, and inside the picture. */
function drawLabel(context, face, transform, unit, limits) {
  const box = boxIn(transform, face.box);
  const { text, size, w } = labelText(context, face, box, unit, limits);
  const h = 1.6 * size;
  const right = transform.left + transform.w * transform.scale;
  const x = Math.max(transform.left, Math.min(box.x - unit, right - w));
  const y = Math.max(transform.top, box.y - h + unit);
  context.fillStyle = colorOf(face, limits);
  context.beginPath();
  context.roundRect(x, y, w, h, 4 * unit);
  context.fill();
  context.fillStyle = INK;
  context.textBaseline = "middle";
  context.fillText(text, x + 0.55 * size, y + 0.53 * h);
}
