// A person's resting face: measure it for 3 s, for all viewers, and show each expression against it, in this browser.

import { note, setText } from "./dom.js";
import { fetchJson, postJson } from "./server.js";
import { TEXT } from "./texts.js";

const RANGE = 4; // log odds at the end of a bar: 55 times the odds at rest

let states = null; // by face; null where faces have no resting face, as in images
let track = null; // {key, shift} of this browser's camera, whose faces have numbers of their own

/** Take the newest states: the program's `baselines`, or null. source: the track they belong to, null for the program's. */
export function takeBaselines(baselines, source = null) {
  states = baselines && new Map(baselines.map((each) => [each.face, each]));
  track = source;
}

/** Prepare a new card. */
export function bindRest(card) {
  card.rest = { wanted: false, begun: false, shown: false };
  for (const name of ["box", "act", "toggle", "note"]) card.rest[name] = card.querySelector(`.rest-${name}`);
  const bind = (button, run) =>
    button.addEventListener("click", (event) => {
      event.stopPropagation(); // does not choose the face
      run();
    });
  bind(card.rest.act, () => act(card));
  bind(card.rest.toggle, () => {
    card.rest.shown = !card.rest.shown;
    fillRest(card, card.face);
  });
}

async function act(card) {
  const state = states?.get(card.face.id)?.state;
  const begins = state === undefined || state === "refused";
  const face = card.face.id - (track?.shift ?? 0);
  const query = new URLSearchParams(track ? { track: track.key } : {});
  card.rest.wanted = begins;
  try {
    if (begins) await postJson(`api/baseline?${query}`, { face });
    else await fetchJson(`api/baseline?${new URLSearchParams({ face, ...Object.fromEntries(query) })}`, { method: "DELETE" });
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

/** Fill the line below the bars; where the user wants it, the bars themselves: returns whether it did. */
export function fillRest(card, face) {
  const { box, toggle, note: line } = card.rest;
  const { state = "none", left_s: leftS, reason } = states?.get(face.id) ?? {};
  const isChosen = card.querySelector(".who").getAttribute("aria-pressed") === "true";
  box.hidden = states === null || (state === "none" && !isChosen);
  if (state === "measuring") card.rest.begun = card.rest.wanted; // a state from before the request may still arrive
  else if (card.rest.begun) {
    if (state === "ready") card.rest.shown = true; // to whom asked for it
    card.rest.begun = card.rest.wanted = false;
  }
  const shown = card.rest.shown && face.rest != null;
  setText(card.rest.act, TEXT.rest.act[state]);
  toggle.hidden = face.rest == null;
  if (toggle.getAttribute("aria-pressed") !== String(shown)) toggle.setAttribute("aria-pressed", String(shown));
  const words = { measuring: () => TEXT.rest.measuring(leftS), refused: () => TEXT.rest.refused(reason) };
  setText(line, words[state]?.() ?? (shown ? TEXT.rest.meaning : ""));
  card.classList.toggle("signed", shown);
  if (!shown) return false;
  for (const { row, name, fill, value } of card.parts) {
    const change = face.rest[name];
    row.classList.toggle("top", name === face.label);
    const transform = `scaleX(${Math.max(-1, Math.min(1, change / RANGE)).toFixed(3)})`;
    if (fill.style.transform !== transform) fill.style.transform = transform;
    setText(value, TEXT.rest.change(change));
  }
  return true;
}
