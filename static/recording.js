// Recording: of the program's source, for all viewers, or in the view of this browser's camera, of that camera.

import { ask } from "./ask.js";
import { $, nameControl, note, setText } from "./dom.js";
import { followSession } from "./running_session.js";
import { fetchJson, postJson } from "./server.js";
import { TEXT } from "./texts.js";

const CONSENT = "mien.consent"; // in localStorage
const VIDEO = "mien.video";

let view = "live";
let program = null; // the program's recording, as reported
let own = null; // that of this browser's camera, and since when by this browser's clock
let ownSince = 0;
let key = null; // under which this browser's images are analyzed
let switchedAt = 0; // what is reported of images that were captured before is out of date
let lastReason = null;

const stored = (name) => {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // this browser stores nothing
  }
};

const store = (name, value) => {
  try {
    localStorage.setItem(name, value);
  } catch { /* as above */ }
};

/** Why nothing can be recorded in this view; empty where it can. */
const refusal = () => TEXT.recordNot[view] ?? "";

/** The recording that the button switches. */
const shown = () => (view === "camera" ? own : program);

function update() {
  const reason = refusal();
  if (reason !== lastReason) {
    lastReason = reason;
    $("record").disabled = Boolean(reason);
    nameControl($("record"), reason ? `${TEXT.page.record}: ${reason}` : TEXT.page.record);
  }
  const pressed = String(Boolean(!reason && shown()?.on));
  if ($("record").getAttribute("aria-pressed") !== pressed) $("record").setAttribute("aria-pressed", pressed);
  $("recording").hidden = !program?.on;
  if (program?.on) setText($("recording"), TEXT.recording(Math.max(0, Date.now() / 1000 - program.since), program.video));
  $("recording-own").hidden = !own?.on;
  if (own?.on) setText($("recording-own"), TEXT.recordingOwn((performance.now() - ownSince) / 1000, own.people, own.video));
  $("csv").hidden = !program?.name;
  followSession(!reason && shown()?.on ? shown().session : null);
}

/** The program's recording, as reported in a state or an answer. */
export function showRecording(recording) {
  const before = program;
  program = recording;
  update();
  if (!before?.on) return;
  if (recording.video_error && !before.video_error) note(TEXT.recordingVideoBroke(recording.video_error));
  if (recording.error) note(TEXT.recordingBroke(recording.error));
  else if (!recording.on) showRecorded(before);
}

/** The recording of this browser's camera, as reported with an image, captured ageMs ago; undefined without one. */
export function showOwnRecording(recording, ageMs = 0) {
  if (performance.now() - ageMs < switchedAt) return;
  const before = own;
  own = recording ?? null;
  if (own?.on && own.session !== before?.session) ownSince = performance.now();
  update();
  if (!before?.on || own?.on) return;
  if (own?.error) note(TEXT.recordingBroke(own.error));
  else showRecorded(before);
}

/** Another view is open: the recording of this browser's camera ends with its view. */
export function setRecordedView(next) {
  if (view === "camera" && next !== "camera") endOwn();
  view = next;
  update();
}

async function endOwn() {
  const ended = key;
  if (own?.on) await switchOwn(false).catch((error) => note(TEXT.notDone(error.message)));
  own = null;
  if (key === ended) key = null; // else the view was opened again meanwhile
  update();
}

/** This browser's images have another key, as after a pause: its recording goes on. */
export async function setRecordedKey(next) {
  const before = key;
  key = next;
  if (!own?.on) return;
  try {
    await switchOwn(true, before);
  } catch (error) {
    const hasEnded = error.status === 409; // without images, as while the page was hidden
    showOwnRecording({ ...own, on: false, error: hasEnded ? null : error.message });
  }
}

async function switchOwn(on, continues = null) {
  const video = on && (continues ? own.video : $("keep-video").checked);
  switchedAt = Infinity;
  let answer = null;
  try {
    answer = await postJson(`api/record?track=${key}`, { on, video, ...(continues ? { continues } : {}) });
  } finally {
    switchedAt = performance.now();
  }
  showOwnRecording(answer.recording);
}

/** Before the first recording in this browser: whether those in front of the camera know of it. */
async function mayRecord() {
  if (stored(CONSENT)) return true;
  const confirmed = await ask(TEXT.consent);
  if (confirmed) store(CONSENT, new Date().toISOString());
  return confirmed;
}

/** onProgram(answer): what the program answered about its recording. */
export async function toggleRecord(onProgram) {
  if (refusal()) return note(refusal());
  if (view === "camera" && !key) return note(TEXT.notRecorded);
  const on = !shown()?.on;
  if (on && !(await mayRecord())) return undefined;
  try {
    if (view === "camera") await switchOwn(on);
    else onProgram(await postJson("api/record", { on, video: on && $("keep-video").checked }));
    if (on) {
      $("recorded").hidden = true;
      note(TEXT.recordingOn(shown()));
    }
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
  return undefined;
}

/** After a recording: what it was, and what can be done with it. */
async function showRecorded({ session, rows }) {
  const found = await fetchJson(`api/sessions/${session}`).catch(() => null);
  const text = found ? TEXT.recorded(found.length_s, found.people) : TEXT.recordingOff(rows);
  note(text);
  $("recorded").hidden = false;
  setText($("recorded-what"), text);
  for (const link of $("recorded").querySelectorAll("a")) {
    const { file } = link.dataset;
    link.href = file === "open" ? `sessions/${session}` : `api/sessions/${session}/${file}`;
    link.hidden = !found;
  }
}

export function bindRecording() {
  $("keep-video").checked = stored(VIDEO) === "yes";
  $("keep-video").addEventListener("change", () => store(VIDEO, $("keep-video").checked ? "yes" : "no"));
  update();
}
