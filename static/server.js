// What the page asks of the program, beside its stream.

import { TEXT } from "./texts.js";

const ANSWER_MS = 15000; // opening a camera over the network takes its time

/** The JSON of an answer. Throws an Error whose message can be shown: the program's own words where it has some. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS), ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Error(TEXT.noAnswer);
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  throw Object.assign(new Error(body?.error ?? TEXT.noAnswer), { status: answer.status });
}

export const tell = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
