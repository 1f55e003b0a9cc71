// Sends one file to the program: small ones at once, large ones in pieces, continuing after a lost connection.

import { pause } from "../dom.js";
import { fetchJson } from "../server.js";
import { TEXT } from "../texts.js";

const FIRST_BYTES = 256 * 1024; // the program expects 0.5 MB a second after ten seconds: enough for 0.2 Mbit/s
const MOST_BYTES = 4 * 1024 * 1024; // the program may ask for less
const FAST_MS = 1000; // after a piece that took less, the next one is twice as large
const SEND_MS = 60000; // time limit of a piece
const RETRY_MS = [1000, 2000, 4000, 8000]; // between attempts
const MAX_FAILURES = 8; // of one piece, while the program answers other requests

let pieceBytes = FIRST_BYTES; // as the network allows

/**
 * Sends a file and returns its job; null if on.isHeld() or on.isCanceled() became true between two pieces.
 *
 * entry: {file, name, job}; with a job in the state "uploading" its sending continues where it ended.
 * on.job(job): the job after each piece. on.waiting(isWaiting): whether the connection is lost. on.find(): this file's
 * job in the program, as the answer to its creation may have been lost, or null. Throws an Error with the reason of a
 * refusal.
 */
export async function upload({ file, name, job }, group, on) {
  const query = new URLSearchParams({ group });
  let failures = 0;
  while (job?.state === "uploading" || !job) {
    if (on.isHeld() || on.isCanceled()) return null;
    try {
      job = job ? await sendPiece(file, job) : await create(file, name, query);
      failures = 0;
    } catch (error) {
      pieceBytes = FIRST_BYTES;
      if (!error.again) failures += 1; // a busy program says when to come again
      if (!(await isReadable(file))) throw new Error(TEXT.files.unreadable);
      if (!mayPass(error, job) || failures > MAX_FAILURES) throw error;
      if (error.status === 404) job = null; // the program was restarted
      job = await reconnect(job, failures, on);
    }
    if (job) on.job(job);
  }
  return job;
}

async function create(file, name, query) {
  if (file.size > pieceBytes) {
    return fetchJson(`api/jobs?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name, bytes: file.size }),
    });
  }
  const headers = { "Content-Type": /^(image|video)\//.test(file.type) ? file.type : "application/octet-stream" };
  const url = `api/jobs?${query}&${new URLSearchParams({ name })}`;
  return fetchJson(url, { method: "POST", headers, body: file, limitMs: SEND_MS });
}

async function sendPiece(file, { id, received, piece_bytes: most = MOST_BYTES }) {
  const body = file.slice(received, received + Math.min(pieceBytes, most));
  const headers = { "Content-Type": "application/octet-stream" };
  const begun = performance.now();
  const job = await fetchJson(`api/jobs/${id}/content?offset=${received}`, {
    method: "PUT",
    headers,
    body,
    limitMs: SEND_MS,
  });
  if (performance.now() - begun < FAST_MS) pieceBytes = Math.min(2 * pieceBytes, MOST_BYTES);
  return job;
}

/** Whether another attempt may succeed: no answer, a wrong offset, a busy program, or one that has lost the job. */
const mayPass = ({ status }, job) => [undefined, 409, 429, 502, 503].includes(status) || (job && status === 404);

/** Wait until the program answers: the job as the program knows it, or null. */
async function reconnect(job, failures, on) {
  for (let attempt = Math.max(0, failures - 1); ; attempt += 1) {
    await pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    try {
      const known = job ? await fetchJson(`api/jobs/${job.id}`) : await on.find();
      on.waiting(false);
      return known;
    } catch (error) {
      if (error.status === 404) return null;
      on.waiting(true);
      if (on.isCanceled() || on.isHeld()) return job;
    }
  }
}

/** Whether the file is still there, unchanged since it was chosen: requests cannot tell this from a lost connection. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
