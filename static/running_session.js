// The session that is being recorded, as the program knows it: who was seen for how long, and what people have added.

import { fetchJson } from "./server.js";

const POLL_MS = 1000;
const FOLLOWED_S = 60; // of the markers, as long as the timeline
const PERSONS = 20; // those seen longest: in a crowd there are hundreds of faces

let id = null; // null while nothing is recorded
let session = null; // the newest answer; null before the first one
let receivedAt = 0;
let version = null; // of all sessions, as last reported
let requests = 0; // made so far
let newest = 0; // the number of the request that `session` answers
let timer = 0;
let changed = () => {};

const pathOf = (which) => `api/sessions/${which}`;

/** Call back whenever what is known of the session has changed. */
export function onRunningSession(callback) {
  changed = callback;
}

/** Follow a session while it is recorded; null: none. Views for other programs have no panel for it. */
export function followSession(next) {
  if (next === id || document.body.dataset.only) return;
  id = next;
  session = null;
  changed();
  fetchSession();
}

/** Take notice of a reported version of all sessions: with another one, somebody has changed something. */
export function noteSessionsVersion(reported) {
  if (reported === version) return;
  version = reported;
  if (id !== null) fetchSession();
}

/** null without one; `known` is null until the program has answered. */
export const runningSession = () => (id === null ? null : { id, known: session });

/** Where the session is, in seconds since it began. */
const position = () => session.length_s + (performance.now() - receivedAt) / 1000;

/** The markers of the last minute: [{at, text}], at: in seconds of performance.now(). */
export function recentMarkers() {
  if (!session?.markers.length) return [];
  const now = position();
  const recent = session.markers.filter(({ t }) => now - t < FOLLOWED_S);
  return recent.map(({ t, text }) => ({ at: performance.now() / 1000 - (now - t), text }));
}

/** Answers may arrive in another order than that of their requests. */
function take(which, answer, request) {
  if (which !== id || request < newest) return;
  newest = request;
  session = answer;
  receivedAt = performance.now();
  changed();
}

async function fetchSession() {
  clearTimeout(timer);
  if (id === null) return;
  const which = id;
  timer = setTimeout(fetchSession, POLL_MS);
  if (document.hidden && session) return;
  const request = (requests += 1);
  const answer = await fetchJson(`${pathOf(which)}?persons=${PERSONS}`).catch(() => null); // what is known stays, and it is fetched again
  if (answer) take(which, answer, request);
}

/** Add edits to a session, by default the one that is being recorded; returns it. Throws an Error for the user. */
export async function editSession(edits, which = id) {
  const answer = await fetchJson(pathOf(which), {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ edits }),
  });
  take(which, answer, (requests += 1)); // newer than what was requested before: that may lack the edits
  return answer;
}
