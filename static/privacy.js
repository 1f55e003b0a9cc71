// Privacy mode for pictures that never pass the program's own stream, by the rules of mien/images/privacy.py, which
// explains the constants; a test compares both. Each scene needs a new PrivacyFilter: the program detects cuts.

const REMEMBER_S = 1.0;
const WHOLE_BLOCKS = 8;
const FACE_BLOCKS = 5;
const BACKGROUND_BLOCKS = 40;
const MARGIN = 0.4;
const DRIFT = 0.5;
const SPEED_SIGHTINGS = 5;

/** Pixelates the faces in the pictures of one scene. It fails closed: no picture passes unchanged. */
export class PrivacyFilter {
  #seen = new Map(); // face id -> [{box, at}] of the last second

  /** Pixelate the picture on a context's canvas. faces: those detected in it; now: its time in seconds. */
  apply(context, faces, now) {
    this.update(faces, now);
    const { width, height } = context.canvas;
    for (const region of this.regions(width, height, now)) pixelateRegion(context, region);
  }

  /** Record where faces are now, and drop what is older than a second. */
  update(faces, now) {
    for (const { id, box } of faces) this.#seen.set(id, [...(this.#seen.get(id) ?? []), { box, at: now }]);
    for (const [id, sightings] of this.#seen) {
      const recent = sightings.filter(({ at }) => now - at <= REMEMBER_S);
      if (recent.length) this.#seen.set(id, recent);
      else this.#seen.delete(id);
    }
  }

  /** The regions to pixelate in a picture of w x h, in order: {x, y, w, h, block}; block: side in pixels. */
  regions(w, h, now) {
    const whole = { x: 0, y: 0, w, h };
    if (!this.#seen.size) return [{ ...whole, block: Math.min(w, h) / WHOLE_BLOCKS }];
    const fine = Math.max(w, h) / BACKGROUND_BLOCKS;
    const faces = [...this.#seen.values()].map((sightings) => ({
      ...clip(faceRegion(sightings, now), w, h),
      block: Math.max(fine, ...sightings.map(({ box }) => sideOf(box) / FACE_BLOCKS)),
    }));
    return [{ ...whole, block: fine }, ...faces.filter((region) => region.w > 0 && region.h > 0)];
  }
}

const sideOf = ({ w, h }) => Math.max(w, h);

/** The region that contains one face's sightings of the last second; it grows while the face is not detected. */
function faceRegion(sightings, now) {
  const last = sightings.at(-1);
  const lost = (now - last.at) * Math.max(DRIFT * sideOf(last.box), speedOf(sightings));
  const padded = sightings.map(({ box }) => ({ ...box, margin: MARGIN * sideOf(box) }));
  padded.at(-1).margin += lost;
  return {
    left: Math.min(...padded.map(({ x, margin }) => x - margin)),
    top: Math.min(...padded.map(({ y, margin }) => y - margin)),
    right: Math.max(...padded.map(({ x, w, margin }) => x + w + margin)),
    bottom: Math.max(...padded.map(({ y, h, margin }) => y + h + margin)),
  };
}

/** Speed of a face over its last sightings, in pixels per second. */
function speedOf(sightings) {
  const first = sightings.at(-Math.min(SPEED_SIGHTINGS, sightings.length));
  const last = sightings.at(-1);
  if (last.at <= first.at) return 0;
  const [dx, dy] = [["x", "w"], ["y", "h"]].map(
    ([start, size]) => last.box[start] + last.box[size] / 2 - first.box[start] - first.box[size] / 2,
  );
  return Math.hypot(dx, dy) / (last.at - first.at);
}

function clip({ left, top, right, bottom }, width, height) {
  const [x, y] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
  return { x, y, w: Math.min(width, Math.ceil(right)) - x, h: Math.min(height, Math.ceil(bottom)) - y };
}

const small = document.createElement("canvas");

/** Replace a region of the picture by blocks of their mean colors. */
function pixelateRegion(context, { x, y, w, h, block }) {
  small.width = Math.max(1, Math.floor(w / block));
  small.height = Math.max(1, Math.floor(h / block));
  const smallContext = small.getContext("2d", { alpha: false });
  smallContext.imageSmoothingQuality = "high";
  smallContext.drawImage(context.canvas, x, y, w, h, 0, 0, small.width, small.height);
  context.save();
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, small.width, small.height, x, y, w, h);
  context.restore();
}
