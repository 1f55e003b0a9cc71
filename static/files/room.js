// How many more files the program takes, by what this browser has sent.

/** The room that is left beside these entries; limits: as the program says them, {} while they are not known. */
export class Room {
  #places;
  #bytes;
  #isEmpty = true;

  constructor(entries, { total_bytes: mostBytes = Infinity, jobs: mostJobs = Infinity }) {
    this.#places = mostJobs;
    this.#bytes = mostBytes;
    for (const entry of entries) {
      if (entry.sending || (entry.job && !entry.job.gone)) this.take(entry);
    }
  }

  /** What a file has to wait for: a key of TEXT.files.states, or null. */
  waitsFor({ job, bytes }) {
    if (job) return null; // it has its room already
    if (this.#places <= 0) return "noPlace";
    return bytes > this.#bytes && !this.#isEmpty ? "noRoom" : null; // a file that is too large alone will be refused
  }

  /** Count a file; those that are analyzed are removed by the program, and only have a place. */
  take({ isFinished, bytes }) {
    this.#places -= 1;
    if (isFinished) return;
    this.#bytes -= bytes;
    this.#isEmpty = false;
  }
}
