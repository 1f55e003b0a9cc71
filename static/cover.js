// Privacy mode for pictures that never went through the program's own stream: the rule of mien/privacy.py, kept here.

const REMEMBER_S = 1; // where a face was seen so recently stays covered
const WHOLE_BLOCKS = 8; // across the shorter side of a picture in which no face was seen
const FACE_BLOCKS = 5; // across a face
const BACKGROUND_BLOCKS = 40; // across the longer side elsewhere: too coarse for a face that was missed
const MARGIN = 0.4; // of a face's side: a detector boxes less than the head
const DRIFT = 0.5; // of a face's side a second: it may have moved since

/** Hides the faces of a series of pictures. It fails closed: nothing is ever shown as it is. */
export class Cover {
  #seen = []; // {box, at}

  /** Pixelate what is on a pen's canvas; faces: those found in it, now: its time in seconds. */
  hide(pen, faces, now) {
    this.#seen = this.#seen.filter(({ at }) => now - at <= REMEMBER_S);
    this.#seen.push(...faces.map(({ box }) => ({ box, at: now })));
    const { width: w, height: h } = pen.canvas;
    const whole = { x: 0, y: 0, w, h };
    if (!this.#seen.length) return pixelate(pen, whole, (WHOLE_BLOCKS * w) / Math.min(w, h));
    pixelate(pen, whole, (BACKGROUND_BLOCKS * w) / Math.max(w, h));
    for (const { box, at } of this.#seen) pixelate(pen, roomy(box, MARGIN + DRIFT * (now - at), w, h), FACE_BLOCKS);
  }
}

function roomy({ x, y, w, h }, margin, width, height) {
  const room = margin * Math.max(w, h);
  const left = Math.max(0, Math.floor(x - room));
  const top = Math.max(0, Math.floor(y - room));
  const right = Math.min(width, Math.ceil(x + w + room));
  const bottom = Math.min(height, Math.ceil(y + h + room));
  return { x: left, y: top, w: Math.max(1, right - left), h: Math.max(1, bottom - top) };
}

const small = document.createElement("canvas");

/** Replace a part of the picture by blocks of its mean colours, `blocks` across. */
function pixelate(pen, { x, y, w, h }, blocks) {
  small.width = Math.max(1, Math.round(blocks));
  small.height = Math.max(1, Math.round((small.width * h) / w));
  const smallPen = small.getContext("2d", { alpha: false });
  smallPen.imageSmoothingQuality = "high";
  smallPen.drawImage(pen.canvas, x, y, w, h, 0, 0, small.width, small.height);
  pen.save();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, small.width, small.height, x, y, w, h);
  pen.restore();
}
