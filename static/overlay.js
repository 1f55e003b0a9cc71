// Boxes, labels and heat drawn over a picture, sharp at any size.

import { INK, ON_PICTURE } from "./colors.js";
import { TEXT } from "./texts.js";

const FONT = '600 SIZEpx system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

const MOST_OF_BOX = 1.5; // how wide a label may be, in widths of its box

/**
 * Where a picture of w x h lies in a room of so many pixels: as large as fits, in the middle.
 * mirrored: left and right are exchanged, for boxes as for the picture; text is not.
 */
export function placement(w, h, roomW, roomH, mirrored = false) {
  const scale = Math.min(roomW / w, roomH / h);
  return { w, h, scale, left: (roomW - w * scale) / 2, top: (roomH - h * scale) / 2, mirrored };
}

/** A box of the frame, in pixels of the room. */
export function boxIn(place, box) {
  const x = place.mirrored ? place.w - box.x - box.w : box.x;
  return {
    x: place.left + x * place.scale,
    y: place.top + box.y * place.scale,
    w: box.w * place.scale,
    h: box.h * place.scale,
  };
}

/**
 * Draw each face's box and label; heats: Map of face id to a picture laid over its box.
 * unit: how many pixels of the canvas one pixel of the page is.
 */
export function drawFaces(pen, faces, place, { unit = 1, threshold = 0, heats = new Map() } = {}) {
  for (const face of faces) {
    const heat = heats.get(face.id);
    if (heat) drawHeat(pen, heat, boxIn(place, face.box), place.mirrored);
  }
  for (const face of faces) drawBox(pen, boxIn(place, face.box), colorOf(face, threshold), unit);
  for (const face of faces) drawLabel(pen, face, place, unit, threshold);
}

const isUnsure = (face, threshold) => face.confidence < threshold;
const colorOf = (face, threshold) => (isUnsure(face, threshold) ? ON_PICTURE.neutral : ON_PICTURE[face.label]);

function drawHeat(pen, heat, box, mirrored) {
  pen.save();
  pen.imageSmoothingQuality = "high";
  if (mirrored) {
    pen.translate(2 * box.x + box.w, 0);
    pen.scale(-1, 1);
  }
  pen.drawImage(heat, box.x, box.y, box.w, box.h);
  pen.restore();
}

function drawBox(pen, box, color, unit) {
  const radius = Math.min(6 * unit, box.w / 8);
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.w, box.h, radius);
  pen.strokeStyle = "rgb(0 0 0 / 45%)"; // keeps the box visible on a background of its own colour
  pen.lineWidth = 4 * unit;
  pen.stroke();
  pen.strokeStyle = color;
  pen.lineWidth = 2 * unit;
  pen.stroke();
}

/** As large as the box lets it be; in a small one without the percentage, which would hide the neighbours' labels. */
function labelText(pen, face, box, unit, threshold) {
  const word = isUnsure(face, threshold) ? TEXT.unsure : face.label;
  const full = TEXT.boxLabel(face.id, word, face.confidence);
  const widthOf = (text, size) => {
    pen.font = FONT.replace("SIZE", size);
    return pen.measureText(text).width + 1.1 * size;
  };
  const size = Math.min(14 * unit, Math.max(11 * unit, (14 * unit * box.w) / widthOf(full, 14 * unit)));
  const text = widthOf(full, size) > MOST_OF_BOX * box.w ? TEXT.boxLabel(face.id, word) : full;
  return { text, size, w: widthOf(text, size) };
}

/** On the box's upper edge, no wider than the box where it stays readable, never outside the picture. */
function drawLabel(pen, face, place, unit, threshold) {
  const box = boxIn(place, face.box);
  const { text, size, w } = labelText(pen, face, box, unit, threshold);
  const h = 1.6 * size;
  const right = place.left + place.w * place.scale;
  const x = Math.max(place.left, Math.min(box.x - unit, right - w));
  const y = Math.max(place.top, box.y - h + unit);
  pen.fillStyle = colorOf(face, threshold);
  pen.beginPath();
  pen.roundRect(x, y, w, h, 4 * unit);
  pen.fill();
  pen.fillStyle = INK;
  pen.textBaseline = "middle";
  pen.fillText(text, x + 0.55 * size, y + 0.53 * h);
}
