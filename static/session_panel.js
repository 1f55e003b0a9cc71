// The session panel: the session that is being recorded, else who was seen since the page was opened.

import { display } from "./canvas.js";
import { $, cloneOf, setText } from "./dom.js";
import { change, changeMarker } from "./marking.js";
import { isUnsure } from "./overlay.js";
import { askForPerson, personName } from "./person_dialog.js";
import { onRunningSession, runningSession } from "./running_session.js";
import { fillShares, newShares, SHOWN } from "./shares.js";
import { Tally } from "./tally.js";
import { TEXT } from "./texts.js";

const UPDATE_MS = 1000;
const MAX_LISTED = 8; // people, those seen longest

export const tally = new Tally();

let updatedAt = 0;

/** Count the faces of a frame. of: "program" or "camera". */
export function countFaces(faces, now, of) {
  tally.add(faces, now / 1000, { of, shown: (face) => (isUnsure(face, display) ? "unsure" : face.label) });
  if (!runningSession() && now - updatedAt >= UPDATE_MS) showSession(now);
}

function showSession(now = performance.now()) {
  updatedAt = now;
  const running = runningSession();
  const known = running?.known;
  $("mark").hidden = !running;
  const words = TEXT.session.since[running ? "recording" : tally.since];
  const { people, count, seconds } = known ? recorded(known) : running ? { people: [], count: null } : seen();
  setText($("session-since"), count === null ? TEXT.session.reading(words) : TEXT.session.line(words, count, seconds));
  showPeople(people);
  $("session-none").hidden = people.length > 0 || count === null;
  $("session-more").hidden = (count ?? 0) <= people.length;
  setText($("session-more"), TEXT.more(count - people.length));
  showMarkers(known);
}

/** What the program knows of the session that is being recorded. */
function recorded({ persons, people: count, length_s: seconds }) {
  if (!persons) return { people: [], count: null };
  const people = persons.slice(0, MAX_LISTED).sort((one, other) => one.face - other.face);
  return { people: people.map((person) => ({ name: personName(person), times: person.seconds, person })), count, seconds };
}

/** What this page has counted. */
function seen() {
  const { people, count, watched: seconds } = tally;
  const all = [...people].map(([key, { seconds: times, total }]) => ({ key, times, total }));
  const longest = new Set(all.toSorted((one, other) => other.total - one.total).slice(0, MAX_LISTED));
  const isMixed = new Set(all.map(({ key }) => key.split(" ")[0])).size > 1;
  const nameOf = (of, face) => (isMixed && of === "camera" ? TEXT.session.ofCamera(face) : TEXT.face(face));
  return { people: all.filter((each) => longest.has(each)).map(({ key, times }) => ({ name: nameOf(...key.split(" ")), times })), count, seconds };
}

/** Let a list have so many items, made by `create`. */
function resize(list, length, create) {
  while (list.children.length > length) list.lastElementChild.remove();
  while (list.children.length < length) list.append(create());
}

function showPeople(people) {
  const list = $("session-rows");
  resize(list, people.length, newRow);
  people.forEach(({ name, times, person }, i) => {
    const row = list.children[i];
    const total = SHOWN.reduce((sum, each) => sum + times[each], 0);
    const shares = total ? Object.fromEntries(SHOWN.map((each) => [each, times[each] / total])) : null;
    row.person = person;
    setText(row.querySelector(".who"), name);
    setText(row.querySelector(".time"), TEXT.minutes(total));
    fillShares(row.querySelector(".strip-bar"), row.querySelector(".shares"), shares);
    const button = row.querySelector(".who-is");
    button.hidden = !person;
    button.setAttribute("aria-label", TEXT.replay.rename(name));
  });
}

function newRow() {
  const row = cloneOf("session-row");
  newShares(row.querySelector(".strip-bar"), row.querySelector(".shares"));
  row.querySelector(".who-is").addEventListener("click", () => askForPerson(row.person));
  return row;
}

/** Markers and excluded spans, the newest first. known: the session that is being recorded. */
function showMarkers(known) {
  const entries = [
    ...(known?.markers ?? []).map((marker) => ({ at: marker.t, text: marker.text || TEXT.replay.marker, marker })),
    ...(known?.excluded ?? []).map((span) => ({ at: span.from, text: TEXT.replay.excluded(span), span })),
  ].sort((one, other) => other.at - one.at);
  const list = $("session-markers");
  resize(list, entries.length, newMarker);
  entries.forEach((entry, i) => {
    const item = list.children[i];
    item.entry = entry;
    const remove = entry.marker ? TEXT.replay.unmark : TEXT.replay.include;
    setText(item.querySelector(".marker-time"), TEXT.minutes(entry.at));
    setText(item.querySelector(".marker-text"), entry.text);
    setText(item.querySelector(".marker-remove"), remove);
    item.querySelector(".marker-change").hidden = !entry.marker;
    for (const name of ["change", "remove"]) {
      const button = item.querySelector(`.marker-${name}`);
      button.setAttribute("aria-label", `${button.textContent}: ${entry.text}`);
    }
  });
}

function newMarker() {
  const item = cloneOf("session-marker");
  item.querySelector(".marker-change").addEventListener("click", () => changeMarker(item.entry.marker));
  item.querySelector(".marker-remove").addEventListener("click", () => {
    const { marker, span } = item.entry;
    change([marker ? { do: "unmark", id: marker.id } : { do: "include", id: span.id }], runningSession().id);
  });
  return item;
}

export function bindSessionPanel() {
  onRunningSession(showSession);
  addEventListener("pagehide", () => tally.store());
  showSession();
}
