// What was detected since the page was opened, kept in memory only.

import { EXPRESSIONS } from "./colors.js";

export const SPAN_S = 60;
export const BIN_S = 0.1;
export const MAX_LISTED = 8; // faces of the session that are listed individually
const MAX_GAP_S = 1; // between two frames that count as continuous,
const MAX_GAP_FRAMES = 2.5; // or this many times the usual interval, for sources with less than a frame a second,
const MAX_SLOW_GAP_S = 15; // but no more
const INTERVALS = 3; // the usual interval is their median
const ROUNDING_S = 1e-6;

const noTime = () => ({ seconds: Object.fromEntries(EXPRESSIONS.map((name) => [name, 0])), total: 0 });

/** Seven probabilities over the last minute for each face, and the duration of each expression. */
export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.faces = new Map(); // id -> {bins: [{at, sums, count}], seconds: {label: s}, total}
    this.others = { ...noTime(), count: 0 }; // sum over those removed from `faces`
    this.now = null; // time of the newest entry, in seconds
    this.intervals = []; // the last ones between frames, in seconds
  }

  /** Whether nothing is known of the time since the previous frame; passed: how long that was, in seconds. */
  #isGap(passed) {
    const [, usual] = [...this.intervals].sort((a, b) => a - b);
    const limit = Math.min(MAX_SLOW_GAP_S, MAX_GAP_FRAMES * (usual ?? 0));
    this.intervals = [...this.intervals, passed].slice(-INTERVALS);
    return passed > Math.max(MAX_GAP_S, limit);
  }

  /** Add the faces of one frame at `now` seconds, which must not decrease. */
  add(faces, now) {
    const passed = this.now === null ? 0 : now - this.now;
    if (this.now !== null && this.#isGap(passed)) for (const known of this.faces.values()) known.away = true;
    this.now = now;
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
    this.#dropLost();
  }

  /** Keep only those lost faces that were visible longest, so that memory stays bounded. */
  #dropLost() {
    const gone = [...this.faces].filter(([, { bins }]) => !bins.length);
    if (gone.length <= MAX_LISTED) return;
    for (const [id, face] of gone.sort(([, a], [, b]) => b.total - a.total).slice(MAX_LISTED)) {
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

  /** Mean probabilities of a face at a time, {label: share}; null while the face was not detected. */
  at(id, time) {
    const bins = this.faces.get(id)?.bins ?? [];
    const i = bins.findLastIndex(({ at }) => at <= time + ROUNDING_S);
    if (i < 0) return null;
    const bin = bins[i];
    const goesOn = time <= bin.at + BIN_S + ROUNDING_S || (bins[i + 1] && !bins[i + 1].afterAway);
    return goesOn ? Object.fromEntries(EXPRESSIONS.map((name, k) => [name, bin.sums[k] / bin.count])) : null;
  }

  /** Whether a face was detected within the last minute. */
  isRecent(id) {
    return Boolean(this.faces.get(id)?.bins.length);
  }

  /** Seconds by expression, summed over all faces. */
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

/** afterAway: the face was not detected just before, so no line leads to this bin. */
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
