// The state in words: badge, figures, hint below the faces, and announcements for screen readers.

import { display } from "./canvas.js";
import { $, sentence, setText } from "./dom.js";
import { isUnsure } from "./overlay.js";
import { isPhoto } from "./photo.js";
import { TEXT } from "./texts.js";

const ANNOUNCE_MS = 3000; // a screen reader cannot keep up with every change

export function showBadge(state, extra = "") {
  setText($("status"), [TEXT.states[state] ?? state.toUpperCase(), extra].filter(Boolean).join(" "));
  $("status").dataset.state = state;
}

/** badge: a state of the page that takes precedence over the source's. */
export function showHeader(state, badge = null) {
  const { source, faces, frame } = state;
  const retry = source.state === "reconnecting" && source.retry_in_s != null;
  const photo = isPhoto(source) && source.state === "file";
  if (badge ?? photo) showBadge(badge ?? "image");
  else showBadge(source.state, retry ? TEXT.seconds(source.retry_in_s) : "");
  setText($("source-name"), source.name);
  setText($("truth"), source.truths?.length ? TEXT.truth(source.truths) : "");
  setText($("fps"), state.fps == null ? TEXT.unknown : TEXT.number(state.fps, state.fps > 0 && state.fps < 2 ? 1 : 0));
  setText($("latency"), state.latency_ms == null ? TEXT.unknown : state.latency_ms.toFixed(0));
  setText($("viewers"), state.viewers == null ? "" : TEXT.viewers(state.viewers));
  $("no-face").hidden = frame == null || faces.length > 0;
}

/** Clear the header, as without a connection. */
export function showNothing(badge) {
  showBadge(badge);
  $("no-face").hidden = true;
  setText($("truth"), "");
  for (const id of ["fps", "latency", "viewers"]) setText($(id), TEXT.unknown);
}

export function showBanner(text) {
  $("banner").hidden = !text;
  setText($("banner"), text);
}

export function showHint(text) {
  $("hint").hidden = !text;
  setText($("hint"), text);
}

/** What is the matter, and what helps. */
export function hintFor({ source, frame, faces }) {
  const { state, reason, failing, kind } = source;
  if (state === "resting") return TEXT.hints.resting;
  if (state === "ended") return sentence(reason) || TEXT.hints.ended;
  const remedy = failing === "source" ? (TEXT.hints.missing[kind] ?? TEXT.hints.missing.any) : TEXT.hints[failing];
  if (reason || remedy) return [sentence(reason), remedy].filter(Boolean).join(" ");
  if (frame == null) return TEXT.hints.noPicture;
  return faces.length === 0 ? TEXT.hints.noFace : "";
}

let announcedAt = 0;
let announced = "";

/** isImage: a single image, which is announced at once, by its name. */
export function announce({ source, faces }, { isImage = false } = {}) {
  const now = performance.now();
  if (!isImage && now - announcedAt < ANNOUNCE_MS) return;
  const name = isImage ? source.name : $("status").textContent;
  const unsure = faces.map((face) => isUnsure(face, display));
  const labels = faces.map((face, i) => TEXT.labelOf(face.label, unsure[i]));
  const key = [name, source.reason, ...labels].join();
  if (key === announced) return; // percentages differ from frame to frame, and are no news
  announcedAt = now;
  announced = key;
  const words = labels.map((label, i) => (unsure[i] ? TEXT.shareOf(label, faces[i].confidence) : label));
  $("announcement").textContent = TEXT.heard(name, isImage && source.reason ? [source.reason] : words);
}
