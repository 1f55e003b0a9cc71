// The frames of a session, fetched in pieces as they are needed; few pieces are kept, however long the session is.

import { fetchJson } from "../server.js";

const PIECE_S = 10;
const KEPT = 12;
const LASTS_S = 0.5; // a frame is shown for at most this long: frames without a face are not recorded
const RETRY_MS = 1000;

export class Frames {
  /** path: of the session. arrived: called when a piece has arrived. failed: called with an error, of each attempt. */
  constructor(path, { arrived, failed }) {
    Object.assign(this, { path, arrived, failed });
    this.pieces = new Map(); // number -> frames, null while they are fetched; the last used last
  }

  /** The frame at a time, null without one; undefined if it is not known yet, and then it is fetched. */
  at(t) {
    const number = Math.floor(t / PIECE_S);
    const frames = this.#piece(number);
    if (!frames) return undefined;
    const found = lastBefore(frames, t) ?? (number > 0 ? lastBefore(this.pieces.get(number - 1) ?? [], t) : null);
    return found && t - found.t < LASTS_S ? found : null;
  }

  /** Fetch what is likely to be shown soon. */
  prefetch(t) {
    this.#piece(Math.floor(t / PIECE_S) + 1);
  }

  #piece(number) {
    const known = this.pieces.get(number);
    if (known !== undefined) {
      this.pieces.delete(number);
      this.pieces.set(number, known);
      return known;
    }
    this.pieces.set(number, null);
    for (const oldest of [...this.pieces.keys()].slice(0, Math.max(0, this.pieces.size - KEPT))) this.pieces.delete(oldest);
    this.#fetch(number);
    return null;
  }

  async #fetch(number) {
    const end = (number + 1) * PIECE_S;
    const frames = [];
    try {
      for (let from = number * PIECE_S; from < end; ) {
        const piece = await fetchJson(`${this.path}/frames?from=${from}&to=${end}`);
        frames.push(...piece.frames);
        from = piece.to > from ? piece.to : end;
      }
    } catch (error) {
      if (!error.again) this.failed(error);
      const isRefused = error.status && !error.again; // for example because the session was deleted
      if (!isRefused) setTimeout(() => this.pieces.get(number) === null && this.#fetch(number), RETRY_MS);
      return;
    }
    if (!this.pieces.has(number)) return;
    this.pieces.set(number, frames);
    this.arrived();
  }
}

function lastBefore(frames, t) {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle].t <= t + 1e-6) low = middle + 1;
    else high = middle;
  }
  return frames[low - 1] ?? null;
}
