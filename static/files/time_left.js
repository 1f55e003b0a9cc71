// How long a queue will take, by what was done in the last minute.

const WINDOW_MS = 60000;
const MIN_MS = 3000; // before that an estimate says nothing

/** Estimates the rest of a queue of entries. Bytes stand for work: the lengths of videos are not known before. */
export class TimeLeft {
  #samples = []; // {at, done, total}

  /** Seconds left, null if not known. */
  update(entries, isPaused, now = performance.now()) {
    const total = sum(entries, ({ bytes }) => bytes);
    const done = sum(entries, ({ work, bytes }) => work * bytes);
    const last = this.#samples.at(-1);
    if (isPaused || done >= total || (last && done < last.done)) this.#samples = [];
    this.#samples = [...this.#samples.filter(({ at }) => now - at < WINDOW_MS), { at: now, done }];
    const [first] = this.#samples;
    if (isPaused || done >= total || now - first.at < MIN_MS || done <= first.done) return null;
    return ((total - done) * (now - first.at)) / 1000 / (done - first.done);
  }
}

const sum = (entries, valueOf) => entries.reduce((total, entry) => total + valueOf(entry), 0);
