// Privacy mode for pictures that never pass the program's own stream, by the rules of mien/images/privacy.py, which
// explains the constants; a test compares both. For another scene a new Cover is needed: the program detects cuts.

const REMEMBER_S = 1.0;
const WHOLE_BLOCKS = 8;
const FACE_BLOCKS = 5;
const BACKGROUND_BLOCKS = 40;
const MARGIN = 0.4;
const DRIFT = 0.5;
const SPEED_SIGHTINGS = 5;

/** Covers the faces in the pictures of one scene. It fails closed: no picture is ever shown as it is. */
export class Cover {
  #seen = new Map(); // number of a face -> [{box, at}] of the last second

  /** Pixelate what is on a pen's canvas. faces: those found in it; now: its time in seconds. */
  hide(pen, faces, now) {
    this.see(faces, now);
    for (const place of this.places(pen.canvas.width, pen.canvas.height, now)) pixelate(pen, place);
  }

  /** Note where faces are now; where they were is forgotten after a second. */
  see(faces, now) {
    for (const { id, box } of faces) this.#seen.set(id, [...(this.#seen.get(id) ?? []), { box, at: now }]);
    for (const [id, sights] of this.#seen) {
      const recent = sights.filter(({ at }) => now - at <= REMEMBER_S);
      if (recent.length) this.#seen.set(id, recent);
      else this.#seen.delete(id);
    }
  }

  /** What is to be pixelated of a picture of w x h, one after the other: {x, y, w, h, block}, block: side in pixels. */
  places(w, h, now) {
    const whole = { x: 0, y: 0, w, h };
    if (!this.#seen.size) return [{ ...whole, block: Math.min(w, h) / WHOLE_BLOCKS }];
    const fine = Math.max(w, h) / BACKGROUND_BLOCKS;
    const faces = [...this.#seen.values()].map((sights) => ({
      ...inside(around(sights, now), w, h),
      block: Math.max(fine, ...sights.map(({ box }) => longer(box) / FACE_BLOCKS)),
    }));
    return [{ ...whole, block: fine }, ...faces.filter((place) => place.w > 0 && place.h > 0)];
  }
}

const longer = ({ w, h }) => Math.max(w, h);

/** What one face's sights of the last second cover, larger while it is lost. */
function around(sights, now) {
  const last = sights.at(-1);
  const lost = (now - last.at) * Math.max(DRIFT * longer(last.box), speedOf(sights));
  const rooms = sights.map(({ box }) => ({ ...box, room: MARGIN * longer(box) }));
  rooms.at(-1).room += lost;
  return {
    left: Math.min(...rooms.map(({ x, room }) => x - room)),
    top: Math.min(...rooms.map(({ y, room }) => y - room)),
    right: Math.max(...rooms.map(({ x, w, room }) => x + w + room)),
    bottom: Math.max(...rooms.map(({ y, h, room }) => y + h + room)),
  };
}

/** How fast a face moved between its last sights, in pixels a second. */
function speedOf(sights) {
  const first = sights.at(-Math.min(SPEED_SIGHTINGS, sights.length));
  const last = sights.at(-1);
  if (last.at <= first.at) return 0;
  const [dx, dy] = [["x", "w"], ["y", "h"]].map(
    ([start, size]) => last.box[start] + last.box[size] / 2 - first.box[start] - first.box[size] / 2,
  );
  return Math.hypot(dx, dy) / (last.at - first.at);
}

function inside({ left, top, right, bottom }, width, height) {
  const [x, y] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
  return { x, y, w: Math.min(width, Math.ceil(right)) - x, h: Math.min(height, Math.ceil(bottom)) - y };
}

const small = document.createElement("canvas");

/** Replace a part of the picture by blocks of its mean colours. */
function pixelate(pen, { x, y, w, h, block }) {
  small.width = Math.max(1, Math.floor(w / block));
  small.height = Math.max(1, Math.floor(h / block));
  const smallPen = small.getContext("2d", { alpha: false });
  smallPen.imageSmoothingQuality = "high";
  smallPen.drawImage(pen.canvas, x, y, w, h, 0, 0, small.width, small.height);
  pen.save();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, small.width, small.height, x, y, w, h);
  pen.restore();
}
