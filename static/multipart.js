// Reads a multipart stream, which carries each picture together with its state.

const NEWLINE = 10;

/** The server answered, but not with a stream. */
export class RefusedError extends Error {
  constructor(status) {
    super(`refused with status ${status}`);
    this.status = status;
  }
}

/**
 * Parses the bytes of a multipart/x-mixed-replace stream as they arrive and calls onPart({state, jpeg}) for each part.
 * Every part declares its length, so pictures need not be searched for boundaries.
 */
export class PartReader {
  #bytes = new Uint8Array(0);
  #headers = {};
  #onPart;

  constructor(onPart) {
    this.#onPart = onPart;
  }

  push(bytes) {
    const joined = new Uint8Array(this.#bytes.length + bytes.length);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.length);
    let at = 0;
    for (let next = 0; next >= 0; next = this.#consume(joined, at)) at = next;
    this.#bytes = joined.subarray(at);
  }

  /** Parse one line, or one body if its headers are complete: where the rest starts, -1 if bytes are missing. */
  #consume(bytes, at) {
    const length = Number(this.#headers["content-length"] ?? -1);
    if (this.#headers.complete) {
      if (bytes.length < at + length) return -1;
      this.#finish(bytes.slice(at, at + length));
      return at + length;
    }
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return -1;
    const line = new TextDecoder().decode(bytes.subarray(at, end)).trim();
    const colon = line.indexOf(":");
    if (colon > 0) this.#headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    else if (line === "" && length >= 0) this.#headers.complete = true; // others only keep the connection open
    return end + 1;
  }

  #finish(body) {
    const state = JSON.parse(this.#headers["x-mien-state"] ?? "null");
    this.#headers = {};
    this.#onPart({ state, jpeg: new Blob([body], { type: "image/jpeg" }) });
  }
}

export const openStream = (url, signal) => fetch(url, { signal, cache: "no-store" });

/** Read a stream to its end; calls onBytes() whenever data arrives. Throws RefusedError, or what `opening` throws. */
export async function readParts(opening, { onPart, onBytes }) {
  const answer = await opening;
  if (!answer.ok) throw new RefusedError(answer.status);
  const parts = new PartReader(onPart);
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    parts.push(value);
  }
}
