// Privacy mode for pictures that never went through the program's own stream: the same rule, kept on the page.

const REMEMBER_S = 1; // where a face was seen so recently stays covered
const ROOM = 0.25; // of a box's side, added on each side: hair and chin tell as much as eyes
const BLOCKS = 6; // across a face: no face detector finds one in so few
const BLOCKS_WHOLE = 12; // across a picture in which no face has been found yet

/** Hides the faces of a series of pictures; until the first face is found, the whole picture. It fails closed. */
export class Cover {
  #seen = []; // {box, at}
  #hasFound = false;

  /** Pixelate on a pen's canvas: the faces found in it, and where faces were within the last second. */
  hide(pen, faces, now) {
    this.#hasFound ||= faces.length > 0;
    this.#seen = this.#seen.filter(({ at }) => now - at <= REMEMBER_S);
    this.#seen.push(...faces.map(({ box }) => ({ box, at: now })));
    const { width, height } = pen.canvas;
    if (!this.#hasFound) return pixelate(pen, { x: 0, y: 0, w: width, h: height }, BLOCKS_WHOLE);
    for (const { box } of this.#seen) pixelate(pen, roomy(box, width, height), BLOCKS);
  }
}

function roomy({ x, y, w, h }, width, height) {
  const left = Math.max(0, Math.floor(x - ROOM * w));
  const top = Math.max(0, Math.floor(y - ROOM * h));
  const right = Math.min(width, Math.ceil(x + w + ROOM * w));
  const bottom = Math.min(height, Math.ceil(y + h + ROOM * h));
  return { x: left, y: top, w: Math.max(1, right - left), h: Math.max(1, bottom - top) };
}

const small = document.createElement("canvas");

/** Replace a part of the picture by blocks of its mean colours, `blocks` across. */
function pixelate(pen, { x, y, w, h }, blocks) {
  small.width = blocks;
  small.height = Math.max(1, Math.round((blocks * h) / w));
  const smallPen = small.getContext("2d", { alpha: false });
  smallPen.imageSmoothingQuality = "high";
  smallPen.drawImage(pen.canvas, x, y, w, h, 0, 0, small.width, small.height);
  pen.save();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, small.width, small.height, x, y, w, h);
  pen.restore();
}
