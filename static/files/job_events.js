// Changes of the program's jobs, as they happen.

import { fetchJson } from "../server.js";

const POLL_MS = 2000; // while the stream of events is refused or broken

/**
 * Follows the jobs of a group between start() and stop(). on.jobs(jobs): changed ones. on.refresh(): asks for all, as
 * while there is no stream, and throws what list() throws. on.lost(isLost): whether the program does not answer.
 */
export class JobEvents {
  #group;
  #on;
  #stream = null;
  #timer = 0;
  #run = 0; // counts starts and stops, to ignore answers to an earlier run
  #isLost = false;

  constructor(group, on) {
    this.#group = group;
    this.#on = on;
  }

  start() {
    if (this.#stream || this.#timer) return;
    this.#stream = new EventSource(`api/jobs/events?group=${this.#group}`);
    this.#stream.onopen = () => this.#setLost(false);
    this.#stream.onmessage = ({ data }) => this.#on.jobs(JSON.parse(data).jobs);
    this.#stream.onerror = () => this.#poll(); // replaces the browser's own attempts, which end at a refusal
  }

  stop() {
    this.#close();
    this.#isLost = false;
  }

  /** {jobs, limits}: all jobs of the group, in the order they were added, and the limits of the program. */
  list() {
    return fetchJson(`api/jobs?group=${this.#group}`);
  }

  #close() {
    this.#run += 1;
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  /** Ask once, and try to open the stream again after a while. */
  async #poll() {
    this.#close();
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.start();
    }, POLL_MS);
    const run = this.#run;
    const error = await this.#on.refresh().catch((reason) => reason);
    if (run === this.#run) this.#setLost(error !== undefined && error.status === undefined);
  }

  #setLost(isLost) {
    if (isLost === this.#isLost) return;
    this.#isLost = isLost;
    this.#on.lost(isLost);
  }
}
