// The probabilities of the last minute, kept in memory only.

import { EXPRESSIONS } from "./colors.js";
import { Gaps } from "./gaps.js";

export const SPAN_S = 60;
export const BIN_S = 0.1;
const ROUNDING_S = 1e-6;

/** Seven probabilities over the last minute for each face. */
export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.faces = new Map(); // id -> {bins: [{at, sums, count}], seenAt, label, away}
    this.now = null; // time of the newest entry, in seconds
    this.gaps = new Gaps();
  }

  /** Add the faces of one frame at `now` seconds, which must not decrease. */
  add(faces, now) {
    if (this.gaps.step(now) === null) for (const known of this.faces.values()) known.away = true;
    this.now = now;
    const missing = new Set(this.faces.values());
    for (const face of faces) {
      if (face.id == null) continue;
      const known = this.faces.get(face.id) ?? this.#newFace(face.id);
      missing.delete(known);
      addToBin(known, face.probabilities, now);
      Object.assign(known, { seenAt: now, label: face.label, away: false });
    }
    for (const known of missing) known.away = true;
    for (const [id, { bins }] of this.faces) {
      while (bins.length && bins[0].at < now - SPAN_S - BIN_S) bins.shift();
      if (!bins.length) this.faces.delete(id);
    }
  }

  #newFace(id) {
    const face = { bins: [], seenAt: this.now, label: null, away: true };
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
    return this.faces.has(id);
  }
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
