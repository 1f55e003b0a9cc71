// The page: shows the stream of pictures and that of events, and comes back when the server does.

import { actions, bindActions } from "./actions.js";

const TEXT = {
  states: {
    live: "LIVE",
    file: "FILE",
    demo: "DEMO",
    resting: "RESTING",
    reconnecting: "RECONNECTING",
    ended: "ENDED",
    lost: "NO CONNECTION",
  },
  hints: {
    noFace: "No face is found. Best are faces that look at the camera, in even light and not too far away.",
    reconnecting: "Is the camera plugged in, and not used by another program?",
    ended: "The file has been played to its end. Start Mien again to see it once more.",
    noPicture: "The first picture is on its way.",
  },
  lost: "The connection to Mien is lost. Is the program still running? The page comes back by itself.",
  away: "The picture comes back with the connection.",
  waiting: "Waiting for the picture …",
  full: "Too many viewers are watching at once. The picture comes as soon as one of them leaves.",
  unknown: "–",
  truth: (label) => `now showing: ${label}`,
  face: (number) => `Face ${number}`,
  seconds: (s) => `${Math.ceil(s)} s`,
  percent: (share) => `${Math.round(100 * share)}\u202f%`,
  viewers: (n) => (n === 1 ? "1 viewer" : `${n} viewers`),
  heard: (word, faces) =>
    `${word}. ${faces.length === 0 ? "No face" : faces.map((face) => face.label).join(", ")}`,
};

const QUIET_MS = 2500; // without an event for so long the page asks by itself
const POLL_MS = 150; // between two questions while there are no events
const POLL_LOST_MS = 500;
const EVENTS_RETRY_MS = 3000; // between two tries to get events after a refusal
const ANSWER_MS = 2000; // an answer later than this counts as none
const PICTURE_RETRY_MS = 2000; // between two tries to get a stream
const ANNOUNCE_MS = 3000; // a screen reader can not follow every change

let lost = false; // whether the server has gone silent

/** Whether nobody looks at what is new: the server is not asked for anything then. */
const idle = () => document.hidden || actions.paused;

const $ = (id) => document.getElementById(id);

// ---- the picture

const picture = $("picture");
const tab = Math.random().toString(36).slice(2);
let streams = 0;
let startedAt = 0;

/** Until there is a picture, its place says why. */
function waitForPicture(text) {
  picture.hidden = true;
  $("still").hidden = true;
  $("notice").hidden = false;
  setText($("notice"), text);
}

function startPicture() {
  if (!picture.hidden) waitForPicture(TEXT.waiting);
  streams += 1;
  startedAt = performance.now();
  picture.src = `/video_feed?viewer=${tab}&n=${streams}`; // the same address again would not be asked for
}

/** Give the stream up, so that the server has its place and the network its rest. */
function stopPicture() {
  picture.removeAttribute("src");
}

/** A browser does not say when a stream of pictures has ended, it just shows the last one; the server does. */
function keepPicture(watching) {
  if (!watching && performance.now() - startedAt > PICTURE_RETRY_MS) startPicture();
}

picture.addEventListener("load", () => {
  if (actions.paused) return;
  picture.hidden = false;
  $("still").hidden = true;
  $("notice").hidden = true;
});

picture.addEventListener("error", async () => {
  if (idle() || lost) return;
  try {
    const { status } = await fetch("/video_feed", { method: "HEAD" });
    if (!idle()) waitForPicture(status === 503 ? TEXT.full : TEXT.waiting);
  } catch {
    waitForPicture(TEXT.waiting);
  }
});

// ---- the state

function show(state) {
  const { source, faces, frame } = state;
  keepPicture(state.watching);
  const word = TEXT.states[source.state] ?? source.state.toUpperCase();
  const wait = source.state === "reconnecting" && source.retry_in_s != null ? ` ${TEXT.seconds(source.retry_in_s)}` : "";
  setText($("status"), word + wait);
  $("status").dataset.state = source.state;
  setText($("source"), source.name);
  setText($("truth"), source.truth ? TEXT.truth(source.truth) : "");
  setText($("fps"), state.fps.toFixed(0));
  setText($("latency"), state.latency_ms == null ? TEXT.unknown : state.latency_ms.toFixed(0));
  setText($("viewers"), TEXT.viewers(state.viewers));

  if (frame) $("stage").style.setProperty("--aspect", frame.width / frame.height);
  $("no-face").hidden = frame == null || faces.length > 0;
  showHint(hintFor(source, frame, faces));
  showFaces(faces);
  announce(TEXT.heard(word, faces));
}

function hintFor(source, frame, faces) {
  const remedy = TEXT.hints[source.state];
  if (source.reason || remedy) return [sentence(source.reason), remedy].filter(Boolean).join(" ");
  if (frame == null) return TEXT.hints.noPicture;
  return faces.length === 0 ? TEXT.hints.noFace : "";
}

function sentence(text) {
  if (!text) return "";
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

function showHint(text) {
  $("hint").hidden = !text;
  setText($("hint"), text);
}

/** One card for each face; a card stays with its face, so that its bars move rather than jump. */
function showFaces(faces) {
  const list = $("faces");
  const old = new Map([...list.children].map((card) => [card.dataset.id, card]));
  faces.forEach((face, index) => {
    const number = String(face.id ?? index + 1);
    const card = old.get(number) ?? newCard(number);
    old.delete(number);
    fillCard(card, face);
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
  });
  for (const card of old.values()) card.remove();
}

function newCard(number) {
  const card = $("face").content.firstElementChild.cloneNode(true);
  card.dataset.id = number;
  card.querySelector(".who").textContent = TEXT.face(number);
  return card;
}

function fillCard(card, face) {
  card.dataset.label = face.label;
  setText(card.querySelector(".label"), face.label);
  setText(card.querySelector(".confidence"), TEXT.percent(face.confidence));
  for (const row of card.querySelectorAll(".expression")) {
    const share = face.probabilities[row.dataset.expression];
    row.classList.toggle("top", row.dataset.expression === face.label);
    row.querySelector(".fill").style.transform = `translateX(${(100 * share - 100).toFixed(1)}%)`;
    setText(row.querySelector(".value"), String(Math.round(100 * share)));
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let announcedAt = 0;

function announce(text) {
  const now = performance.now();
  if (now - announcedAt < ANNOUNCE_MS || $("announcement").textContent === text) return;
  announcedAt = now;
  $("announcement").textContent = text;
}

// ---- lost and found

function connectionLost() {
  lost = true;
  $("banner").hidden = false;
  setText($("banner"), TEXT.lost);
  setText($("status"), TEXT.states.lost);
  $("status").dataset.state = "lost";
  $("no-face").hidden = true;
  for (const id of ["fps", "latency", "viewers"]) setText($(id), TEXT.unknown);
  setText($("truth"), "");
  showFaces([]);
  showHint("");
  waitForPicture(TEXT.away);
}

function found(state) {
  failures = 0;
  if (lost) connectionFound();
  show(state);
}

function connectionFound() {
  lost = false;
  $("banner").hidden = true;
  waitForPicture(TEXT.waiting);
  startPicture();
}

// ---- the events: one for each analysed frame

let events = null; // an EventSource; the browser itself takes it up again when it is cut off
let listenAt = 0; // not before
let newest = null;

function listen() {
  if (events || idle() || performance.now() < listenAt) return;
  const source = new EventSource(`/api/events?viewer=${tab}`);
  source.onmessage = (event) => {
    if (newest === null) requestAnimationFrame(showNewest); // once for each repaint is enough
    newest = event.data;
    askIn(QUIET_MS);
  };
  source.onerror = () => {
    if (source !== events) return;
    if (source.readyState === EventSource.CLOSED) {
      events = null;
      listenAt = performance.now() + EVENTS_RETRY_MS;
    }
    askIn(0);
  };
  events = source;
}

function showNewest() {
  const text = newest;
  newest = null;
  if (text !== null && events) found(JSON.parse(text));
}

/** Give the stream up, as with the picture. */
function stopListening() {
  events?.close();
  events = null;
  newest = null;
}

// ---- the questions: while events are refused or silent

let timer = 0;
let asking = false;
let failures = 0;

function askIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(ask, ms);
}

async function ask() {
  if (asking || idle()) return;
  asking = true;
  const began = performance.now();
  const state = await fetchState();
  asking = false;
  if (idle()) return;
  failures = state ? failures : failures + 1;
  if (failures >= 2) connectionLost(); // one lost answer is no lost connection
  if (state) {
    found(state);
    listen();
  }
  const heard = state && events?.readyState === EventSource.OPEN;
  askIn(heard ? QUIET_MS : lost ? POLL_LOST_MS : Math.max(0, POLL_MS - (performance.now() - began)));
}

/** The state, or null when no proper answer comes in time. */
async function fetchState() {
  try {
    const answer = await fetch(`/api/state?viewer=${tab}`, {
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function awake() {
  if (idle()) {
    clearTimeout(timer);
    stopPicture();
    stopListening();
  } else {
    startPicture();
    listen();
    askIn(0);
  }
}

// A token in the address has done its work: it need not be seen, copied or kept in the history.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);

bindActions(awake);
document.addEventListener("visibilitychange", awake);
// Not before the page is loaded: a stream without a picture yet would keep it "loading".
if (document.readyState === "complete") awake();
else window.addEventListener("load", awake, { once: true });
