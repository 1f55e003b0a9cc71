// The states of the program's own source without its pictures, for ?view=bars.

const RETRY_MS = 2000;
const SILENT_MS = 5000; // without a state for this long the connection counts as lost

/** Used like a ProgramStream. */
export class EventStream {
  constructor({ onState, onLost, onRestored }) {
    this.on = { onState, onLost, onRestored };
    this.source = null;
    this.lost = false;
    this.ticker = 0;
  }

  setLandmarks() {}

  start() {
    if (this.ticker) return;
    this.seenAt = performance.now();
    this.ticker = setInterval(() => this.#tick(), RETRY_MS);
    this.#open();
  }

  stop() {
    clearInterval(this.ticker);
    this.ticker = 0;
    this.source?.close();
    this.source = null;
  }

  #open() {
    this.source?.close();
    this.source = new EventSource("api/events");
    this.source.addEventListener("message", ({ data }) => {
      this.seenAt = performance.now();
      if (this.lost) this.on.onRestored();
      this.lost = false;
      this.on.onState(JSON.parse(data));
    });
  }

  /** A browser reconnects by itself unless the program refused, as when all streams are taken. */
  #tick() {
    if (this.source.readyState === EventSource.CLOSED) this.#open();
    if (this.source.readyState === EventSource.OPEN || this.lost) return;
    if (performance.now() - this.seenAt < SILENT_MS) return;
    this.lost = true;
    this.on.onLost();
  }
}
