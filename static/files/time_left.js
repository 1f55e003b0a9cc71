// How long a queue will take, by what was done in the last minute.

const WINDOW_MS = 60000;
const MIN_MS = 3000; // before that an estimate says nothing

/** Estimates the rest of a queue of entries. Bytes stand for work: how long the analysis of a file takes is not known. */
export class TimeLeft {
  #samples = []; // {at, sent, analyzed}, in bytes

  /** Seconds left, null if not known. Files are sent and analyzed at the same time: the slower of the two counts. */
  update(entries, isPaused, now = performance.now()) {
    const sample = { at: now, total: 0, sent: 0, analyzed: 0 };
    for (const { bytes, shares } of entries) {
      sample.total += bytes;
      sample.sent += bytes * shares.sent;
      sample.analyzed += bytes * shares.analyzed;
    }
    const last = this.#samples.at(-1);
    if (isPaused || sample.analyzed >= sample.total || sample.analyzed < last?.analyzed) this.#samples = [];
    this.#samples = [...this.#samples.filter(({ at }) => now - at < WINDOW_MS), sample];
    const lefts = ["sent", "analyzed"].map((what) => secondsLeft(this.#samples[0], sample, what));
    return isPaused || lefts.includes(null) ? null : Math.max(...lefts);
  }
}

function secondsLeft(first, { at, total, ...now }, what) {
  if (now[what] >= total) return what === "sent" ? 0 : null;
  const done = now[what] - first[what];
  return at - first.at < MIN_MS || done <= 0 ? null : ((total - now[what]) * (at - first.at)) / 1000 / done;
}
