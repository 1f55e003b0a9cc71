// What has been seen since the page was opened: kept in this page's memory, nowhere else.

import { EXPRESSIONS } from "./colors.js";

export const SPAN_S = 60;
export const BIN_S = 0.1;
const LONGEST_S = 1; // between two frames that still count as one stretch of time

/** Seven probabilities over the last minute for each face, and for how long each expression was seen. */
export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.faces = new Map(); // number -> {bins: [{at, sums, count}], seconds: {label: s}, total}
    this.now = null; // time of the newest entry, in seconds
  }

  /** Add the faces of one frame, seen at `now` seconds; times must not go back. */
  add(faces, now) {
    const passed = this.now === null ? 0 : now - this.now;
    this.now = now;
    for (const face of faces) {
      if (face.id == null) continue;
      const known = this.faces.get(face.id) ?? this.#newFace(face.id);
      if (now - known.seenAt <= LONGEST_S) {
        const share = Math.min(passed, LONGEST_S);
        known.seconds[face.label] += share;
        known.total += share;
      }
      known.seenAt = now;
      known.label = face.label;
      addToBin(known.bins, face.probabilities, now);
    }
    for (const { bins } of this.faces.values()) {
      while (bins.length && bins[0].at < now - SPAN_S - BIN_S) bins.shift();
    }
  }

  #newFace(id) {
    const seconds = Object.fromEntries(EXPRESSIONS.map((name) => [name, 0]));
    const face = { bins: [], seconds, total: 0, seenAt: this.now, label: null };
    this.faces.set(id, face);
    return face;
  }

  /** The seven means of a face at a time, {label: share}; null where the face was away. */
  at(id, time) {
    const bins = this.faces.get(id)?.bins ?? [];
    const bin = bins.find(({ at }) => Math.abs(at + BIN_S / 2 - time) <= BIN_S);
    return bin ? Object.fromEntries(EXPRESSIONS.map((name, i) => [name, bin.sums[i] / bin.count])) : null;
  }

  /** Whether a face has been seen within the last minute. */
  isRecent(id) {
    return Boolean(this.faces.get(id)?.bins.length);
  }

  /** Seconds by expression over all faces together. */
  all() {
    const seconds = Object.fromEntries(EXPRESSIONS.map((name) => [name, 0]));
    let total = 0;
    for (const face of this.faces.values()) {
      total += face.total;
      for (const name of EXPRESSIONS) seconds[name] += face.seconds[name];
    }
    return { seconds, total };
  }
}

function addToBin(bins, probabilities, now) {
  const at = Math.floor(now / BIN_S) * BIN_S;
  let bin = bins.at(-1);
  if (!bin || bin.at !== at) bins.push((bin = { at, sums: new Float64Array(EXPRESSIONS.length), count: 0 }));
  EXPRESSIONS.forEach((name, i) => (bin.sums[i] += probabilities[name]));
  bin.count += 1;
}
