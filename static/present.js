// The picture for the back of a room: full screen, with one large strip for each face, and no pointer at rest.

import { display } from "./canvas.js";
import { EXPRESSIONS, ON_PICTURE } from "./colors.js";
import { $, cloneOf, nameControl, setText } from "./dom.js";
import { isUnsure } from "./overlay.js";
import { TEXT } from "./texts.js";

const MAX_STRIPS = 6; // more would not be readable
const STRIPS_MS = 60; // as bars
const POINTER_MS = 2000;
const NAMED_SHARE = 0.16; // segments that are wide enough for their name

let updatedAt = 0;
let pointerTimer = 0;

export const isPresenting = () => document.body.hasAttribute("data-present");

/** Full screen where the browser allows it; the window is filled in any case. */
export async function togglePresent() {
  setPresenting(!isPresenting());
  if (isPresenting()) await document.documentElement.requestFullscreen?.({ navigationUI: "hide" }).catch(() => {});
  else if (document.fullscreenElement) await document.exitFullscreen().catch(() => {});
}

function setPresenting(on) {
  document.body.toggleAttribute("data-present", on);
  $("strips").hidden = !on;
  $("present").setAttribute("aria-pressed", String(on));
  nameControl($("present"), on ? TEXT.presentEnd : TEXT.page.present);
  if (on) hidePointerSoon();
  else showPointer();
}

function showPointer() {
  clearTimeout(pointerTimer);
  document.body.classList.remove("still-pointer");
}

function hidePointerSoon() {
  showPointer();
  pointerTimer = setTimeout(() => document.body.classList.add("still-pointer"), POINTER_MS);
}

export function bindPresent() {
  $("present-end").addEventListener("click", togglePresent);
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement && isPresenting()) setPresenting(false); // Escape, or a gesture of the system
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && isPresenting() && !document.querySelector("dialog[open]")) togglePresent();
  });
  for (const moved of ["pointermove", "pointerdown"]) {
    document.addEventListener(moved, () => isPresenting() && hidePointerSoon());
  }
}

/** Show the strips of the faces, those of the largest faces if there are many. */
export function showStrips(faces, now = performance.now()) {
  if (!isPresenting() || now - updatedAt < STRIPS_MS) return;
  updatedAt = now;
  const largest = faces.toSorted((a, b) => b.box.w * b.box.h - a.box.w * a.box.h).slice(0, MAX_STRIPS);
  const shown = faces.filter((face) => largest.includes(face));
  const list = $("strips");
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) list.append(newStrip());
  shown.forEach((face, i) => fillStrip(list.children[i], face));
}

function newStrip() {
  const strip = cloneOf("big-strip");
  for (const name of EXPRESSIONS) {
    const piece = document.createElement("span");
    piece.dataset.expression = name;
    piece.style.backgroundColor = ON_PICTURE[name];
    strip.querySelector(".strip-bar").append(piece);
  }
  return strip;
}

function fillStrip(strip, face) {
  const unsure = isUnsure(face, display);
  strip.classList.toggle("unsure", unsure);
  strip.dataset.label = face.label;
  setText(strip.querySelector(".who"), face.id == null ? "" : TEXT.face(face.id));
  setText(strip.querySelector(".label"), TEXT.labelOf(face.label, unsure));
  setText(strip.querySelector(".confidence"), TEXT.percent(face.confidence));
  for (const piece of strip.querySelector(".strip-bar").children) {
    const share = face.probabilities[piece.dataset.expression];
    piece.style.flexGrow = share.toFixed(3);
    setText(piece, share >= NAMED_SHARE ? TEXT.expression(piece.dataset.expression) : "");
  }
}
