// Draws boxes, labels and heat maps over a picture, sharp at any size.

import { INK, ON_PICTURE } from "./colors.js";
import { placeLabels } from "./labels.js";
import { drawLandmarks } from "./landmarks.js";
import { TEXT } from "./texts.js";

const FONT = '600 SIZEpx system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

const LINE_PX = 14; // with larger labels, boxes have thicker lines in proportion

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
 * them where a face has them. unit: pixels of the canvas per pixel of the page. fontPx: size of labels in pixels of the
 * canvas. slots: Map of face id to the place of its label, kept from one picture to the next. limits: threshold and
 * minQuality, below which a face is unsure.
 */
export function drawFaces(context, faces, transform, style) {
  const { unit = 1, fontPx = LINE_PX, heats = new Map(), landmarks = false, slots = new Map(), ...limits } = style;
  for (const face of faces) {
    const heat = heats.get(face.id);
    if (heat) drawHeat(context, heat, boxIn(transform, face.box), transform.mirrored);
  }
  for (const face of landmarks ? faces : []) {
    const points = face.landmarks?.map((point) => pointIn(transform, point));
    if (points) drawLandmarks(context, points, unit);
  }
  const boxes = faces.map((face) => boxIn(transform, face.box));
  const line = Math.max(unit, fontPx / LINE_PX);
  faces.forEach((face, i) => drawBox(context, boxes[i], colorOf(face, limits), line));
  drawLabels(context, faces, { boxes, transform, fontPx, slots, limits });
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

/** Draw all labels where they do not hide each other. */
function drawLabels(context, faces, { boxes, transform, fontPx, slots, limits }) {
  context.font = FONT.replace("SIZE", fontPx);
  context.textBaseline = "middle";
  const h = 1.6 * fontPx;
  const { left, top, w, h: pictureH, scale } = transform;
  const labels = faces.map((face, i) => {
    const box = { ...boxes[i], x: boxes[i].x - left, y: boxes[i].y - top };
    const label = TEXT.labelOf(face.label, isUnsure(face, limits));
    const texts = [TEXT.boxLabel(face.id, label, face.confidence), String(face.id ?? label)];
    return { box, texts, sizes: texts.map((text) => [context.measureText(text).width + 1.1 * fontPx, h]) };
  });
  const places = placeLabels(labels, w * scale, pictureH * scale, faces.map(({ id }) => slots.get(id)));
  slots.clear();
  places.forEach(({ x, y, w: width, form, slot }, i) => {
    slots.set(faces[i].id, slot);
    context.fillStyle = colorOf(faces[i], limits);
    context.beginPath();
    context.roundRect(left + x, top + y, width, h, fontPx / 3.5);
    context.fill();
    context.fillStyle = INK;
    context.fillText(labels[i].texts[form], left + x + 0.55 * fontPx, top + y + 0.53 * h);
  });
}
