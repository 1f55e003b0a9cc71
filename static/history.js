// What has been seen since the page was opened: kept in this page's memory, nowhere else.

import { EXPRESSIONS } from "./colors.js";

export const SPAN_S = 60;
export const BIN_S = 0.1;
export const LISTED = 8; // faces of the session that are shown one by one
const LONGEST_S = 1; // between two frames that still count as one stretch of time
const ROUNDING_S = 1e-6;

const noTime = () => ({ seconds: Object.fromEntries(EXPRESSIONS.map((name) => [name, 0])), total: 0 });

/** Seven probabilities over the last minute for each face, and for how long each expression was seen. */
export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.faces = new Map(); // number -> {bins: [{at, sums, count}], seconds: {label: s}, total}
    this.others = { ...noTime(), count: 0 }; // the sum of those that are not among `faces` any more
    this.now = null; // time of the newest entry, in seconds
  }

  /** Add the faces of one frame, seen at `now` seconds; times must not go back. */
  add(faces, now) {
    const passed = this.now === null ? 0 : now - this.now;
    this.now = now;
    if (passed > LONGEST_S) for (const known of this.faces.values()) known.away = true;
    const missing = new Set(this.faces.values());
    for (const face of faces) {
      if (face.id == null) continue;
      const known = this.faces.get(face.id) ?? this.#newFace(face.id);
      missing.delete(known);
      if (!known.away) {
        known.seconds[face.label] += passed;
        known.total += passed;
      }
      addToBin(known, face.probabilities, now);
      Object.assign(known, { seenAt: now, label: face.label, away: false });
    }
    for (const known of missing) known.away = true;
    for (const { bins } of this.faces.values()) {
      while (bins.length && bins[0].at < now - SPAN_S - BIN_S) bins.shift();
    }
    this.#forget();
  }

  /** Of the faces that are gone for good only those seen longest stay one by one, so that a long day costs no more. */
  #forget() {
    const gone = [...this.faces].filter(([, { bins }]) => !bins.length);
    if (gone.length <= LISTED) return;
    for (const [id, face] of gone.sort(([, a], [, b]) => b.total - a.total).slice(LISTED)) {
      addTime(this.others, face);
      if (face.total > 0) this.others.count += 1;
      this.faces.delete(id);
    }
  }

  #newFace(id) {
    const face = { ...noTime(), bins: [], seenAt: this.now, label: null, away: true };
    this.faces.set(id, face);
    return face;
  }

  /** The seven means of a face at a time, {label: share}; null where the face was away. */
  at(id, time) {
    const bins = this.faces.get(id)?.bins ?? [];
    const i = bins.findLastIndex(({ at }) => at <= time + ROUNDING_S);
    if (i < 0) return null;
    const bin = bins[i];
    const goesOn = time <= bin.at + BIN_S + ROUNDING_S || (bins[i + 1] && !bins[i + 1].afterAway);
    return goesOn ? Object.fromEntries(EXPRESSIONS.map((name, k) => [name, bin.sums[k] / bin.count])) : null;
  }

  /** Whether a face has been seen within the last minute. */
  isRecent(id) {
    return Boolean(this.faces.get(id)?.bins.length);
  }

  /** Seconds by expression over all faces together. */
  all() {
    const sum = noTime();
    for (const face of [this.others, ...this.faces.values()]) addTime(sum, face);
    return sum;
  }
}

function addTime(sum, { seconds, total }) {
  sum.total += total;
  for (const name of EXPRESSIONS) sum.seconds[name] += seconds[name];
}

/** afterAway: the face was not there just before, so that no line leads to this bin. */
function addToBin({ bins, away }, probabilities, now) {
  const at = Math.floor(now / BIN_S) * BIN_S;
  let bin = bins.at(-1);
  if (!bin || bin.at !== at) {
    bin = { at, afterAway: away, sums: new Float64Array(EXPRESSIONS.length), count: 0 };
    bins.push(bin);
  }
  EXPRESSIONS.forEach((name, i) => (bin.sums[i] += probabilities[name]));
  bin.count += 1;
}
