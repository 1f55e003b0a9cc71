// Which frames follow each other so closely that what was seen lasted from one to the next.

const MAX_GAP_S = 1; // between two frames that count as continuous,
const MAX_GAP_FRAMES = 2.5; // or this many times the usual interval, for sources with less than a frame a second,
const MAX_SLOW_GAP_S = 15; // but no more
const INTERVALS = 3; // the usual interval is their median

export class Gaps {
  constructor() {
    this.clear();
  }

  clear() {
    this.now = null; // time of the newest frame, in seconds
    this.intervals = []; // the last ones between frames, in seconds
  }

  /** Seconds since the frame before; null for the first one, and after a gap. `now` must not decrease. */
  step(now) {
    const passed = this.now === null ? null : now - this.now;
    this.now = now;
    return passed === null || this.#isGap(passed) ? null : passed;
  }

  #isGap(passed) {
    const [, usual] = [...this.intervals].sort((a, b) => a - b);
    const limit = Math.min(MAX_SLOW_GAP_S, MAX_GAP_FRAMES * (usual ?? 0));
    this.intervals = [...this.intervals, passed].slice(-INTERVALS);
    return passed > Math.max(MAX_GAP_S, limit);
  }
}
