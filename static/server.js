// Requests to the program other than its stream.

import { TEXT } from "./texts.js";

const ANSWER_MS = 20000; // opening a source may take up to 15 s, after which the reason of a failure is reported

/**
 * The JSON of an answer within limitMs, null if it has none, unless `signal` aborts the request.
 * Throws an Error whose message can be displayed: the program's, if it gave one. `again`: another request may succeed.
 */
export async function fetchJson(path, { signal, limitMs = ANSWER_MS, ...options } = {}) {
  const ends = [AbortSignal.timeout(limitMs), signal].filter(Boolean);
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options, signal: AbortSignal.any(ends) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(TEXT.noAnswer);
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  const again = answer.headers.has("Retry-After");
  throw Object.assign(new Error(body?.error ?? TEXT.noAnswer), { status: answer.status, again });
}

export const postJson = (path, body) =>
  fetchJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
