// The program's own source: its stream of frames, and the way back when it breaks off.

import { newName } from "./dom.js";
import { openStream, readParts } from "./multipart.js";

const TICK_MS = 250;
const QUIET_MS = 1500; // without a part for so long the page asks for the state by itself; the server repeats after 1 s
const DEAD_MS = 4000; // without a byte for so long the connection counts as broken
const RETRY_MS = 2000; // between two tries to get a stream
const ASK_MS = 500; // between two questions
const ANSWER_MS = 2000; // an answer later than this counts as none

/** Resolves at the next repaint. */
const repaint = () => new Promise((resolve) => requestAnimationFrame(resolve));

/**
 * Follows /api/frames while it is started, and asks /api/state where that brings nothing.
 *
 * onFrame(bitmap, state): a picture with the state that belongs to it. onState(state): a state alone.
 * onFull(): all places are taken. onLost(), onFound(): the server has gone silent, has come back.
 */
export class Live {
  constructor({ onFrame, onState, onFull, onLost, onFound }) {
    const { name, ...opened } = window.first ?? { name: newName() };
    this.opened = opened; // {connection, answer} of the stream that was asked for before this module came
    this.url = `/api/frames?viewer=${name}`;
    this.stateUrl = `/api/state?viewer=${name}`;
    this.on = { onFrame, onState, onFull, onLost, onFound };
    this.lost = false;
    this.run = 0; // counts starts and stops: what an earlier run still brings is dropped
    this.connection = null;
    this.ticker = 0;
  }

  start() {
    if (this.ticker) return;
    this.run += 1;
    Object.assign(this, { newest: null, drawing: false, asking: false, failures: 0, triedAt: 0, askedAt: 0 });
    this.partAt = performance.now(); // gives the stream its time before anything is asked
    this.ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#connect();
  }

  /** Give the stream up, so that the server has its place and the network its rest. */
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
    const { connection = new AbortController(), answer = openStream(this.url, connection.signal) } = this.opened;
    this.opened = {};
    this.connection = connection;
    this.triedAt = this.aliveAt = performance.now();
    try {
      await readParts(answer, {
        onBytes: () => (this.aliveAt = performance.now()),
        onPart: (part) => run === this.run && this.#take(part),
      });
    } catch (error) {
      if (run === this.run && error.status === 503) this.on.onFull();
    }
    if (connection === this.connection) this.connection = null;
  }

  #take(part) {
    this.partAt = performance.now();
    this.#found();
    this.newest = part;
    if (!this.drawing) this.#drawNewest(this.run);
  }

  /** One picture at a time, always the newest: a slow browser skips pictures, it never lags. */
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
    if (this.connection && now - this.aliveAt > DEAD_MS) {
      this.connection.abort();
      this.connection = null;
    }
    if (!this.connection && !this.lost && now - this.triedAt > RETRY_MS) this.#connect();
    const quiet = !this.connection || now - this.partAt > QUIET_MS;
    if (quiet && !this.asking && now - this.askedAt > ASK_MS) this.#ask(this.run);
  }

  async #ask(run) {
    this.asking = true;
    this.askedAt = performance.now();
    const state = await fetchState(this.stateUrl);
    if (run !== this.run) return;
    this.asking = false;
    if (state) {
      this.#found();
      if (performance.now() - this.partAt > QUIET_MS || !this.connection) this.on.onState(state);
    } else if (++this.failures >= 2 && !this.lost) { // one lost answer is no lost connection
      this.lost = true;
      this.connection?.abort();
      this.connection = null;
      this.on.onLost();
    }
  }

  #found() {
    this.failures = 0;
    if (!this.lost) return;
    this.lost = false;
    this.on.onFound();
    if (!this.connection) this.#connect();
  }
}

/** The state, or null when no proper answer comes in time. */
async function fetchState(url) {
  try {
    const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.status === 401) location.reload(); // started again with a new token, which is then asked for
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
