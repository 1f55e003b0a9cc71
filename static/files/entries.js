// One file of the queue, and what is known about it.

const STEPS = { uploading: 0, waiting: 1, analyzing: 1, paused: 1, done: 2, failed: 2 }; // never back to a lower one

/**
 * A file that was added in this page, or a job of the program that was added before the page was reloaded.
 *
 * state: "unsent", "sending", "lost" (sending was interrupted by a reload, the file has to be chosen again), "refused",
 * or, once the program has all of it, its job's: "waiting", "analyzing", "paused", "done" or "failed".
 */
export class Entry {
  job = null;
  reason = null; // why the program refused it
  sending = false;
  held = false; // paused before it was sent completely
  canceled = false; // while it was being sent
  linkLost = false; // the program does not answer
  waitsFor = null; // "noRoom" until others are analyzed, "noPlace" until results are removed
  rates = []; // {at, bytes} while sending, for the time left

  constructor(key, { file = null, name, bytes = file.size }) {
    Object.assign(this, { key, file, name, bytes });
  }

  get state() {
    if (this.reason) return "refused";
    if (this.job && this.job.state !== "uploading") return this.job.state;
    if (this.sending) return "sending";
    return this.file ? "unsent" : "lost";
  }

  get isFinished() {
    return ["refused", "done", "failed"].includes(this.state);
  }

  /** Whether closing the page loses it. */
  get isUnsent() {
    return this.state === "unsent" || this.state === "sending";
  }

  get isPaused() {
    return this.held || this.job?.state === "paused";
  }

  /** 0 to 1, of sending or of the analysis, whichever is running. */
  get progress() {
    if (this.isUnsent || this.state === "lost") return this.bytes ? this.sent / this.bytes : 0;
    return this.isFinished ? 1 : this.job.progress ?? 0;
  }

  get sent() {
    return this.job?.received ?? 0;
  }

  /** Shares of it that are sent and analyzed, 0 to 1. */
  get shares() {
    if (this.isFinished) return { sent: 1, analyzed: 1 };
    const isSent = this.job && this.job.state !== "uploading";
    return isSent ? { sent: 1, analyzed: this.progress } : { sent: this.progress, analyzed: 0 };
  }

  /** Seconds until it is sent or analyzed; null if not known. */
  get secondsLeft() {
    if (this.state !== "sending") return this.job?.seconds_left ?? null;
    const [first, last] = [this.rates[0], this.rates.at(-1)];
    if (!first || last.bytes === first.bytes) return null;
    return ((this.bytes - last.bytes) * (last.at - first.at)) / 1000 / (last.bytes - first.bytes);
  }

  /** Take the job as the program describes it, unless this is older than what is known: answers may overtake each other. */
  update(job) {
    if (this.job?.id === job.id && STEPS[job.state] < STEPS[this.job.state]) return;
    this.job = job;
    if (job.state !== "uploading") this.rates = [];
    else if (this.sending && this.rates.at(-1)?.bytes !== job.received) {
      this.rates = [...this.rates, { at: performance.now(), bytes: job.received }].slice(-8);
    }
  }

  /** Start over, after a refusal or when the program has lost the job. */
  reset() {
    Object.assign(this, { job: null, reason: null, held: false, linkLost: false, rates: [] });
  }
}
