// The list of faces: a card for each, with thumbnail, label and seven bars in fixed order. From four faces on, cards are
// rows, and only the chosen one is open.

import { display, drawThumbnail, hasPicture } from "./canvas.js";
import { $, cloneOf, setText } from "./dom.js";
import { isUnsure } from "./overlay.js";
import { bindRest, fillRest } from "./rest.js";
import { TEXT } from "./texts.js";

const THUMBNAIL_MS = 200; // five per second suffice to recognize a face
const QUALITY_MS = 1500; // a reason is shown for at least this long, so that it can be read
const BARS_MS = 60; // eased over 120 ms, which looks the same as 30 updates per second

const COMPACT_FROM = 4; // faces
const COMPACT_MS = 3000; // cards stay compact for this long, so that a face that comes and goes does not move all others

const list = $("faces");
let chosen = null;
let openedId = null; // among images, where no face is chosen for a timeline
let compactUntil = 0;

/**
 * Show the faces of one state; a card belongs to one face, so that its bars move smoothly.
 * chosenId: the face of the timeline. jump: update at once, as for a single image.
 */
export function showFaces(faces, { chosenId = null, jump = false } = {}) {
  const old = new Map([...list.children].map((card) => [card.dataset.id, card]));
  const now = performance.now();
  const isCompact = updateCompact(faces.length, now, jump);
  const openId = chosenId ?? faces.find(({ id }) => id === openedId)?.id ?? faces[0]?.id;
  faces.forEach((face, index) => {
    const number = String(face.id ?? index + 1);
    const card = old.get(number) ?? newCard(number);
    old.delete(number);
    card.face = face;
    const isOpen = !isCompact || face.id === openId;
    const opens = isOpen && !card.classList.contains("open");
    card.classList.toggle("open", isOpen);
    fillHead(card, face, { isChosen: chosenId === null ? null : face.id === chosenId, isOpen: isCompact ? isOpen : null });
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    if (!isOpen) return fillRow(card, face, now);
    if (opens) card.barsAt = card.thumbnailAt = 0;
    if (jump || now - (card.qualityAt ?? 0) >= QUALITY_MS) fillQuality(card, face, now);
    if (jump || now - (card.barsAt ?? 0) >= BARS_MS || card.dataset.label !== face.label) fillBars(card, face, now);
    if (jump || now - (card.thumbnailAt ?? 0) >= THUMBNAIL_MS) fillThumbnail(card, face, now);
    return undefined;
  });
  for (const card of old.values()) card.remove();
}

/** jump: at once, without waiting for a face that may return. */
function updateCompact(count, now, jump) {
  if (count >= COMPACT_FROM) compactUntil = now + COMPACT_MS;
  else if (jump || count === 0) compactUntil = 0;
  const isCompact = now < compactUntil;
  list.classList.toggle("compact", isCompact);
  return isCompact;
}

/** Call back with the id of the face that the user chooses. */
export function onChoose(callback) {
  chosen = callback;
}

function newCard(number) {
  const card = cloneOf("face");
  card.dataset.id = number;
  setText(card.querySelector(".who"), TEXT.face(number));
  card.addEventListener("click", () => {
    openedId = card.face.id;
    chosen?.(card.face.id);
  });
  card.parts = [...card.querySelectorAll(".expression")].map((row) => ({
    row,
    name: row.dataset.expression,
    fill: row.querySelector(".fill"),
    value: row.querySelector(".value"),
  }));
  bindRest(card);
  return card;
}

/** isChosen: null where there is no timeline; isOpen: null where all cards are open. */
function fillHead(card, face, { isChosen, isOpen }) {
  const unsure = isUnsure(face, display);
  card.classList.toggle("unsure", unsure);
  setText(card.querySelector(".label"), TEXT.labelOf(face.label, unsure));
  const who = card.querySelector(".who");
  const finder = face.found_by ? TEXT.foundBy(face.found_by) : "";
  if (who.title !== finder) who.title = finder;
  who.disabled = isChosen === null && isOpen === null;
  setState(who, "aria-pressed", isChosen === true);
  setState(who, "aria-expanded", isOpen);
}

/** A state of a control, only on change; null removes it. */
function setState(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** The row of a closed card: the label, and its confidence as one bar. */
function fillRow(card, face, now) {
  if (now - (card.barsAt ?? 0) < BARS_MS && card.dataset.label === face.label) return;
  card.barsAt = now;
  card.dataset.label = face.label;
  setText(card.querySelector(".confidence"), TEXT.percent(face.confidence));
  setLength(card.querySelector(".mini .fill"), face.confidence);
}

/** Written only on change, as are texts. */
function setLength(fill, share) {
  const transform = `translateX(${(100 * share - 100).toFixed(1)}%)`;
  if (fill.style.transform !== transform) fill.style.transform = transform;
}

function fillBars(card, face, now) {
  card.barsAt = now;
  card.dataset.label = face.label;
  setText(card.querySelector(".confidence"), TEXT.percent(face.confidence)); // with the bars, to agree with them
  fillPeople(card.querySelector(".people"), face);
  if (fillRest(card, face)) return;
  for (const { row, name, fill, value } of card.parts) {
    const share = face.probabilities[name];
    row.classList.toggle("top", name === face.label);
    setLength(fill, share);
    setText(value, String(Math.round(100 * share)));
  }
}

/** people_share is null for a network that has not learned from votes: then there is nothing to say. */
function fillPeople(line, { people_share: share, label }) {
  line.hidden = share == null;
  if (!line.hidden) setText(line, TEXT.people(share, label));
}

/** What is wrong with the face and what helps; nothing for a face that can be read well. */
function fillQuality(card, { quality, quality_reason: reason }, now) {
  const line = card.querySelector(".quality");
  if ((line.dataset.reason ?? "") !== (reason ?? "")) {
    card.qualityAt = now;
    line.dataset.reason = reason ?? "";
    line.hidden = !reason;
    if (reason) setText(line, TEXT.quality[reason]);
  }
  if (reason) line.title = TEXT.qualityHint(quality);
}

function fillThumbnail(card, face, now) {
  const canvas = card.querySelector(".thumbnail");
  canvas.classList.toggle("bare", !hasPicture());
  if (!hasPicture()) return;
  card.thumbnailAt = now;
  drawThumbnail(canvas, face.box);
}
