// Small helpers that every part of the page uses.

import { TEXT } from "./texts.js";

const NOTE_MS = 4000;
const REVOKE_MS = 10000; // a download that has begun keeps its data

export const $ = (id) => document.getElementById(id);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Touch an element only where something changes: each change costs a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A copy of what a <template> holds. */
export function cloneOf(id) {
  return $(id).content.firstElementChild.cloneNode(true);
}

/** Put in the texts: data-text is what an element says, data-title its tooltip, data-name what a control is called. */
export function fillTexts(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = TEXT.page[element.dataset.text];
  for (const element of root.querySelectorAll("[data-title]")) element.title = TEXT.page[element.dataset.title];
  for (const element of root.querySelectorAll("[data-name]")) nameControl(element, TEXT.page[element.dataset.name]);
  for (const template of root.querySelectorAll("template")) fillTexts(template.content);
}

/** A name for screen readers, and a tooltip with the shortcut where there is one. */
export function nameControl(element, name) {
  const { key } = element.dataset;
  element.setAttribute("aria-label", name);
  element.title = key ? `${name} (${key})` : name;
  if (key) element.setAttribute("aria-keyshortcuts", key);
}

let noteTimer = 0;

/** One line over the picture that goes away by itself. */
export function note(text) {
  $("note").textContent = text;
  $("note").hidden = false;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => ($("note").hidden = true), NOTE_MS);
}

/** Give the user a file; nothing leaves the browser. */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
  note(TEXT.saved(name));
}

/** Such as 2026-01-31T12-00-00, which every file system takes. */
export const stamp = () => new Date().toISOString().slice(0, 19).replaceAll(":", "-");

/** A name nobody else has: 16 characters, as /api/analyze wants a key. */
export function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
