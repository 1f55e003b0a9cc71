// What the page asks of the program, beside its stream.

import { TEXT } from "./texts.js";

const ANSWER_MS = 20000; // opening a source may take the program 15 s, and then it says why it could not

/**
 * The JSON of an answer, which is waited for until limitMs have passed or signal says that nobody wants it any more.
 * Throws an Error whose message can be shown: the program's own words where it has some.
 */
export async function ask(path, { signal, limitMs = ANSWER_MS, ...options } = {}) {
  const ends = [AbortSignal.timeout(limitMs), signal].filter(Boolean);
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options, signal: AbortSignal.any(ends) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(TEXT.noAnswer);
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  throw Object.assign(new Error(body?.error ?? TEXT.noAnswer), { status: answer.status });
}

export const tell = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
