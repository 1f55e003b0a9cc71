// One connection brings picture and state together: a multipart stream, read part by part.

const NEWLINE = 10;

/** The server answered, but not with a stream. */
export class Refused extends Error {
  constructor(status) {
    super(`refused with status ${status}`);
    this.status = status;
  }
}

/**
 * Takes the bytes of a multipart/x-mixed-replace stream as they come and calls onPart({state, jpeg}) for each part.
 * Every part says how long it is, so that nothing is searched for inside a picture.
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
    for (let next = 0; next >= 0; next = this.#take(joined, at)) at = next;
    this.#bytes = joined.subarray(at);
  }

  /** Take one line, or one body where its headers are complete; where the rest begins, -1 when more must come. */
  #take(bytes, at) {
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
    else if (line === "" && length >= 0) this.#headers.complete = true; // other empty lines only keep the line open
    return end + 1;
  }

  #finish(body) {
    const state = JSON.parse(this.#headers["x-mien-state"] ?? "null");
    this.#headers = {};
    this.#onPart({ state, jpeg: new Blob([body], { type: "image/jpeg" }) });
  }
}

export const openStream = (url, signal) => fetch(url, { signal, cache: "no-store" });

/** Read a stream to its end; onBytes for every sign of life. Throws Refused, or whatever opening it throws. */
export async function readParts(opening, { onPart, onBytes }) {
  const answer = await opening;
  if (!answer.ok) throw new Refused(answer.status);
  const parts = new PartReader(onPart);
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    parts.push(value);
  }
}
