// Small helpers that every part of the page uses.

import { TEXT } from "./texts.js";

const NOTE_MS = 4000;
const REVOKE_MS = 10000; // by then the download has started

export const $ = (id) => document.getElementById(id);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Write only on change: each write triggers a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A reason given by the program, as a sentence. Names of files and addresses at its beginning stay as they are. */
export function sentence(text) {
  if (!text) return "";
  const capital = /^\p{L}+(?=\s|$)/u.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** By how much the user has enlarged the texts of pages: 1 for 16 pixels. */
export const textScale = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/** The context of a canvas that is as large as it is displayed, in the screen's own pixels, and cleared. */
export function clearedContext(canvas) {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** A copy of a <template>'s content. */
export function cloneOf(id) {
  return $(id).content.firstElementChild.cloneNode(true);
}

/** Resolves when a style sheet is loaded, or cannot be. */
export function loadStyle(href) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  document.head.append(link);
  return new Promise((resolve) => (link.onload = link.onerror = resolve));
}

/** Fill in texts: data-text, data-title and data-name are keys of an element's text, tooltip and name. */
export function fillTexts(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = TEXT.page[element.dataset.text];
  for (const element of root.querySelectorAll("[data-title]")) element.title = TEXT.page[element.dataset.title];
  for (const element of root.querySelectorAll("[data-name]")) nameControl(element, TEXT.page[element.dataset.name]);
  for (const template of root.querySelectorAll("template")) fillTexts(template.content);
}

/** Set the name for screen readers, and a tooltip with the shortcut if there is one. */
export function nameControl(element, name) {
  const { key } = element.dataset;
  element.setAttribute("aria-label", name);
  element.title = key ? `${name} (${key})` : name;
  if (key) element.setAttribute("aria-keyshortcuts", key);
}

let noteTimer = 0;

/** Show one line over the picture for a few seconds. */
export function note(text, ms = NOTE_MS) {
  setText($("note"), text);
  $("note").hidden = false;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => ($("note").hidden = true), ms);
}

/** Save a file for the user; nothing leaves the browser. */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
  note(TEXT.saved(name));
}

/** The time as 2026-01-31T12-00-00, valid in file names everywhere. */
export const stamp = () => new Date().toISOString().slice(0, 19).replaceAll(":", "-");

/** A random name of 16 characters, valid as a key of /api/analyze. */
export function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
