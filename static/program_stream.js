// The stream of frames of the program's own source, and reconnecting when it fails.

import { newName } from "./dom.js";
import { openStream, readParts } from "./multipart.js";
import { fetchJson } from "./server.js";

const TICK_MS = 250;
const SILENT_MS = 1500; // without a part for this long the state is polled; the server sends one at least every second
const BROKEN_MS = 4000; // without a byte for this long the connection counts as broken
const RETRY_MS = 2000; // between two attempts to open a stream
const POLL_MS = 500; // between two requests for the state
const ANSWER_MS = 2000; // time limit of an answer

/** Resolves at the next repaint; at once in a hidden page, whose picture is shown in a small window. */
const repaint = () => new Promise((resolve) => {
  if (document.hidden) return resolve();
  document.addEventListener("visibilitychange", resolve, { once: true });
  return requestAnimationFrame(() => {
    document.removeEventListener("visibilitychange", resolve);
    resolve();
  });
});

/**
 * Reads /api/frames while it is started, and polls /api/state while that delivers nothing.
 *
 * onFrame(bitmap, state): a picture with its state. onState(state): a state without a picture.
 * onFull(): the limit of streams is reached. onLost(), onRestored(): the server stopped answering, answers again.
 */
export class ProgramStream {
  constructor({ onFrame, onState, onFull, onLost, onRestored }) {
    const { name, ...opened } = window.earlyConnection ?? { name: newName() };
    this.opened = opened; // {connection, answer} of the stream that was requested before this module was loaded
    this.name = name;
    this.landmarks = false;
    this.on = { onFrame, onState, onFull, onLost, onRestored };
    this.lost = false;
    this.run = 0; // counts starts and stops, to ignore results of an earlier run
    this.connection = null;
    this.ticker = 0;
  }

  /** Whether states have landmarks; the stream is opened again where that changes. */
  setLandmarks(on) {
    if (on === this.landmarks) return;
    this.landmarks = on;
    if (!this.ticker) return;
    this.stop();
    this.start();
  }

  #url = (path) => `${path}?viewer=${this.name}${this.landmarks ? "&landmarks=1" : ""}`;

  start() {
    if (this.ticker) return;
    this.run += 1;
    Object.assign(this, { newest: null, drawing: false, polling: false, failures: 0, triedAt: 0, polledAt: 0 });
    this.partAt = performance.now(); // gives the stream time before the state is polled
    this.ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#connect();
  }

  /** Close the stream, which frees its slot on the server and saves network traffic. */
  stop() {
    clearInterval(this.ticker);
    this.ticker = 0;
    this.run += 1;
    for (const connection of [this.connection, this.opened.connection]) connection?.abort();
    this.connection = null;
    this.opened = {};
  }

  async #connect() {
    const { run } = this;
    const { connection = new AbortController() } = this.opened;
    const { answer = openStream(this.#url("api/frames"), connection.signal) } = this.opened;
    this.opened = {};
    this.connection = connection;
    this.triedAt = this.aliveAt = performance.now();
    try {
      await readParts(answer, {
        onBytes: () => (this.aliveAt = performance.now()),
        onPart: (part) => run === this.run && this.#receive(part),
      });
    } catch (error) {
      if (run === this.run && error.status === 503) this.on.onFull();
    }
    if (connection === this.connection) this.connection = null;
  }

  #receive(part) {
    this.partAt = performance.now();
    this.#restore();
    this.newest = part;
    if (!this.drawing) this.#drawNewest(this.run);
  }

  /** Draw one picture at a time, always the newest: a slow browser skips pictures instead of lagging. */
  async #drawNewest(run) {
    this.drawing = true;
    while (this.newest && run === this.run) {
      const { jpeg, state } = this.newest;
      this.newest = null;
      const bitmap = await createImageBitmap(jpeg).catch(() => null);
      await repaint();
      if (run === this.run && bitmap) this.on.onFrame(bitmap, state);
      bitmap?.close();
    }
    if (run === this.run) this.drawing = false;
  }

  #tick() {
    const now = performance.now();
    if (this.connection && now - this.aliveAt > BROKEN_MS) {
      this.connection.abort();
      this.connection = null;
    }
    if (!this.connection && !this.lost && now - this.triedAt > RETRY_MS) this.#connect();
    const silent = !this.connection || now - this.partAt > SILENT_MS;
    if (silent && !this.polling && now - this.polledAt > POLL_MS) this.#poll(this.run);
  }

  async #poll(run) {
    this.polling = true;
    this.polledAt = performance.now();
    const state = await fetchState(this.#url("api/state"));
    if (run !== this.run) return;
    this.polling = false;
    if (state) {
      this.#restore();
      if (performance.now() - this.partAt > SILENT_MS || !this.connection) this.on.onState(state);
    } else if (++this.failures >= 2 && !this.lost) { // a single missing answer is not a lost connection
      this.lost = true;
      this.connection?.abort();
      this.connection = null;
      this.on.onLost();
    }
  }

  #restore() {
    this.failures = 0;
    if (!this.lost) return;
    this.lost = false;
    this.on.onRestored();
    if (!this.connection) this.#connect();
  }
}

/** The state, or null without a valid answer in time. */
async function fetchState(url) {
  try {
    return await fetchJson(url, { limitMs: ANSWER_MS });
  } catch (error) {
    if (error.status === 401) location.reload(); // restarted with a new token, which the reloaded page asks for
    return null;
  }
}
