// The replay of one session: picture, boxes, lanes, markers and people at any moment.

import { EXPRESSIONS } from "../colors.js";
import { $, clearedContext, cloneOf, fillTexts, note, pause, setText, textScale } from "../dom.js";
import { fontSize } from "../labels.js";
import { drawFaces, placement } from "../overlay.js";
import { fetchJson } from "../server.js";
import { TEXT } from "../texts.js";
import { askForWord } from "../word.js";
import { Frames } from "./frames.js";
import { Lanes } from "./lanes.js";
import { peopleOf, refill, showLabels, showPeople } from "./people.js";
import { Player, SPEEDS } from "./player.js";

const PATH = `../api/sessions/${document.body.dataset.session}`;
const POINTS = 1200;
const RETRY_MS = 500;
const FOLLOW_MS = 2000;
const STEP_S = 1;
const FAR_S = 10;
const FRAME_S = 1 / 30;
const SURE = { threshold: 0, minQuality: 0.5 };

let session = null;
let timeline = { faces: [] };
let people = [];
let excludeFrom = null;
let started = false; // everything is known
let isLost = false; // frames could not be fetched
const slots = new Map();

fillTexts();
const frames = new Frames(PATH, {
  arrived() {
    if (isLost) showBanner("");
    isLost = false;
    show();
  },
  failed({ status, message }) {
    isLost = true;
    showBanner(status ? TEXT.replay.broke(message) : TEXT.lost);
  },
});
const video = $("video");
const player = new Player(null, show);
const lanes = new Lanes({ seek: (t) => player.seek(t), exclude: ({ from, to }) => excludeSpan(from, to) });

// ---- what is shown

function showBanner(text) {
  setText($("banner"), text);
  $("banner").hidden = !text;
}

function show() {
  const { t, length, playing } = player;
  $("scrub").value = String(t);
  $("scrub").setAttribute("aria-valuetext", TEXT.replay.at(t, length));
  setText($("clock"), TEXT.replay.at(t, length));
  $("play").dataset.playing = String(playing);
  $("play").setAttribute("aria-label", playing ? TEXT.pause : TEXT.page.replayPlay);
  lanes.move(t);
  const frame = frames.at(t);
  if (playing) frames.prefetch(t);
  const hints = { undefined: TEXT.replay.loading, null: TEXT.replay.nobody };
  setText($("hint"), length ? hints[frame] ?? "" : TEXT.replay.empty);
  if (frame === undefined) return; // the picture before stays until it is known
  drawFrame(frame);
  showLabels(people, frame?.faces ?? []);
}

function drawFrame(frame) {
  const context = clearedContext($("overlay"));
  const { width, height } = context.canvas;
  if (!frame) return;
  const nameOf = new Map(people.flatMap(({ first, faces, name }) => faces.map((face) => [face, name === TEXT.face(first) ? first : name])));
  const shown = frame.faces.map(({ face, box, label, unsure, probabilities }) => ({
    id: nameOf.get(face) ?? face,
    box,
    label,
    confidence: probabilities[label],
    quality: unsure ? 0 : 1,
  }));
  const transform = placement(frame.width || video.videoWidth || 640, frame.height || video.videoHeight || 480, width, height);
  if (video.hidden) drawArea(context, transform);
  const fontPx = fontSize(height / devicePixelRatio, textScale()) * devicePixelRatio;
  drawFaces(context, shown, transform, { unit: devicePixelRatio, fontPx, slots, ...SURE });
}

/** Without a video, the area of the picture. */
function drawArea(context, { left, top, w, h, scale }) {
  context.fillStyle = "rgb(128 128 128 / 25%)";
  context.fillRect(left, top, w * scale, h * scale);
}

function showSession() {
  const name = session.name ?? TEXT.sessions.date(session.began);
  setText($("name"), name);
  document.title = `${name} · Mien`;
  setText($("facts"), TEXT.sessions.facts(session));
  const known = new Set([...timeline.faces.map(({ face }) => face), ...(session.persons ?? []).flatMap(({ faces }) => faces)]);
  people = peopleOf([...known].sort((one, other) => one - other), session);
  showPeople(people, session, { edit, ask: askForWord });
  const byFace = new Map(timeline.faces.map((lane) => [lane.face, lane]));
  const seen = people.filter(({ faces }) => faces.some((face) => byFace.has(face)));
  lanes.show({
    length: player.length,
    step: timeline.step_s,
    people: seen.map((person) => ({ ...person, lane: joined(person.faces.map((face) => byFace.get(face)).filter(Boolean)) })),
    excluded: session.excluded,
    markers: session.markers,
  });
  showMarkers();
  show();
}

/** The lanes of all faces of a person: at each point that of the face that was seen. */
function joined(parts) {
  if (parts.length === 1) return parts[0];
  const names = [...EXPRESSIONS, "unsure"];
  const seenAt = parts[0].happy.map((_, i) => parts.find((part) => part.happy[i] !== null) ?? parts[0]);
  return Object.fromEntries(names.map((name) => [name, seenAt.map((part, i) => part[name][i])]));
}

function showMarkers() {
  const entries = [
    ...session.markers.map((marker) => ({ at: marker.t, text: marker.text || TEXT.replay.marker, remove: { do: "unmark", id: marker.id }, label: TEXT.replay.unmark })),
    ...session.excluded.map((span) => ({ at: span.from, text: TEXT.replay.excluded(span), remove: { do: "include", id: span.id }, label: TEXT.replay.include })),
  ].sort((one, other) => one.at - other.at);
  refill($("markers"), entries.map(({ at, text, remove, label }) => {
    const item = cloneOf("marker");
    const time = item.querySelector(".marker-time");
    setText(time, TEXT.replay.time(at));
    time.addEventListener("click", () => player.seek(at));
    setText(item.querySelector(".marker-text"), text);
    const button = item.querySelector(".marker-remove");
    setText(button, label);
    button.setAttribute("aria-label", `${label}: ${text}`);
    button.addEventListener("click", () => edit([remove]));
    return item;
  }), $("scrub"));
  $("no-markers").hidden = entries.length > 0;
}

// ---- what is changed

async function edit(edits) {
  try {
    session = await fetchJson(PATH, {
      method: "PATCH",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ edits }),
    });
    session = await fetchJson(PATH); // with the sums, which the edit may have changed
    showSession();
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

async function mark() {
  const { t } = player;
  const word = await askForWord(TEXT.replay.markAt(t));
  if (word !== null) edit([{ do: "mark", t: rounded(t), text: word }]);
}

/** The first press sets where a span begins, the second where it ends. */
function exclude() {
  const { t } = player;
  if (excludeFrom === null) {
    excludeFrom = t;
    note(TEXT.replay.excludeFrom(t));
  } else {
    const [from, to] = [Math.min(excludeFrom, t), Math.max(excludeFrom, t)];
    excludeFrom = null;
    excludeSpan(from, to);
  }
  $("exclude").setAttribute("aria-pressed", String(excludeFrom !== null));
}

function excludeSpan(from, to) {
  if (rounded(to) > rounded(from)) edit([{ do: "exclude", from: rounded(from), to: rounded(to) }]);
}

const rounded = (t) => Math.round(1000 * t) / 1000;

// ---- controls

function changeSpeed(speed) {
  player.setSpeed(speed);
  $("speed").value = String(speed);
}

$("speed").append(...SPEEDS.map((speed) => new Option(TEXT.replay.speed(speed), speed)));
changeSpeed(1);
$("speed").addEventListener("change", () => changeSpeed(Number($("speed").value)));
$("play").addEventListener("click", () => player.toggle());
$("scrub").addEventListener("input", () => player.seek(Number($("scrub").value)));
$("mark").addEventListener("click", mark);
$("exclude").addEventListener("click", exclude);

const faster = (by) => changeSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(player.speed) + by))]);
const KEYS = {
  " ": () => player.toggle(),
  e: mark,
  ArrowLeft: (event) => player.seek(player.t - (event.shiftKey ? FAR_S : STEP_S)),
  ArrowRight: (event) => player.seek(player.t + (event.shiftKey ? FAR_S : STEP_S)),
  ",": () => player.seek(player.t - FRAME_S),
  ".": () => player.seek(player.t + FRAME_S),
  Home: () => player.seek(0),
  End: () => player.seek(player.length),
  "+": () => faster(1),
  "-": () => faster(-1),
};

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  const isOwn = target.closest("input:not([type=range]), select, dialog") || (key === " " && target.closest("button, a"));
  if (isOwn || event.ctrlKey || event.altKey || event.metaKey || !(key in KEYS)) return;
  event.preventDefault();
  KEYS[key](event);
});
new ResizeObserver(show).observe($("overlay"));

// ---- start

/** An answer of the program, however long it takes to make it. */
async function patiently(path) {
  for (;;) {
    try {
      return await fetchJson(path);
    } catch (error) {
      if (!error.again) throw error;
      await pause(RETRY_MS);
    }
  }
}

async function start() {
  for (const name of [...EXPRESSIONS, "unsure"]) {
    const item = document.createElement("li");
    item.dataset.expression = name;
    setText(item, TEXT.expression(name));
    $("legend").append(item);
  }
  setText($("lanes-hint"), TEXT.replay.loading);
  const values = patiently(`${PATH}/timeline?points=${POINTS}`);
  values.catch(() => {}); // reported below, where it is waited for
  session = await fetchJson(`${PATH}?complete=0`);
  if (session.has_video) {
    video.src = `${PATH}/video.mp4`;
    video.hidden = false;
    player.video = video;
    player.setSpeed(player.speed);
    video.addEventListener("seeked", show);
    video.addEventListener("loadeddata", show);
    video.addEventListener("error", () => {
      video.hidden = true;
      player.video = null;
      note(TEXT.replay.noVideo);
      show();
    });
  }
  setLength(session.length_s ?? 0);
  showSession();
  timeline = await values;
  setText($("lanes-hint"), timeline.faces.length ? "" : TEXT.replay.empty);
  setLength(Math.max(session.length_s ?? 0, timeline.to));
  showSession();
  session = await fetchJson(PATH);
  showSession();
  started = true;
}

let version = null; // of all sessions, and privacy mode, as last reported

/** Show what others have changed; controls let the source become idle. */
async function follow() {
  if (document.hidden || !started) return;
  try {
    const { sessions_version: sessions, privacy } = await fetchJson("../api/controls");
    const newest = `${sessions} ${privacy}`;
    if (newest === version) return;
    const found = await fetchJson(PATH);
    version = newest;
    if (JSON.stringify(found) === JSON.stringify(session)) return;
    session = found;
    showSession();
  } catch {} // what is shown stays, and it is tried again
}

function setLength(length) {
  $("scrub").max = String(length);
  player.setLength(length);
}

if (new URLSearchParams(location.search).has("token")) window.history.replaceState(null, "", location.pathname);
setInterval(follow, FOLLOW_MS);
document.addEventListener("visibilitychange", follow);
start().catch((error) => showBanner(TEXT.replay.broke(error.message)));
