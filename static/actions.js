// The toolbar and its shortcuts. Some actions affect only this browser, others the program and all viewers.

import { ask } from "./ask.js";
import { hasPicture, pictureFile, setMirrored } from "./canvas.js";
import { $, nameControl, note, saveFile, setText, stamp } from "./dom.js";
import { startHeat, stopHeat } from "./gradcam.js";
import { mark } from "./marking.js";
import { togglePresent } from "./present.js";
import { showRecording, toggleRecord } from "./recording.js";
import { noteSessionsVersion } from "./running_session.js";
import { postJson } from "./server.js";
import { tally } from "./session_panel.js";
import { toggleSmallWindow } from "./small_window.js";
import { TEXT } from "./texts.js";

const MAX_BEHIND = 1000; // another run of the program counts its settings from elsewhere
const LIFTED_MS = 10000; // for everybody to notice

/** What the user has set, and what the program reported last; null if nothing yet. */
export const actions = {
  paused: false, mirrored: false, heat: false, landmarks: false,
  version: null, privacy: null, lifted: undefined, recording: null, saving: null, choosesDetector: false,
};

/** Whether faces must be pixelated: also until the program has reported that they need not be. */
export const isPrivate = () => actions.privacy !== false;

let page = null; // {onPause, onMirror, onLandmarks, onPrivacy, isLive, isWatched}

const press = (id, on) => {
  if ($(id).getAttribute("aria-pressed") !== String(on)) $(id).setAttribute("aria-pressed", String(on));
};

// ---- in this browser only

export function setPaused(paused) {
  actions.paused = paused;
  press("pause", paused);
  const name = paused ? TEXT.resume : TEXT.page.pause;
  nameControl($("pause"), name);
  setText($("pause").querySelector(".word"), name);
}

function togglePause() {
  if (!actions.paused && !hasPicture()) return note(TEXT.notPaused);
  setPaused(!actions.paused);
  return page.onPause();
}

async function save() {
  const file = await pictureFile();
  return file ? saveFile(file, `mien-${stamp()}.png`) : note(TEXT.notSaved);
}

/** Mirror the picture, or not. */
export function mirror(on) {
  actions.mirrored = on;
  press("mirror", on);
  setMirrored(on);
}

const toggleMirror = () => page.onMirror(!actions.mirrored);

function toggleHeat() {
  if (!actions.heat && !page.isLive()) return note(TEXT.heatSource);
  return setHeat(!actions.heat);
}

export function setHeat(on) {
  if (on === actions.heat) return;
  actions.heat = on;
  press("heat", on);
  if (on) startHeat(page.isWatched);
  else stopHeat();
}

/** Whether landmarks are requested and displayed: not in privacy mode, as they describe the shape of a face. */
export const wantsLandmarks = () => actions.landmarks && !isPrivate();

function toggleLandmarks() {
  if ($("landmarks").disabled) return note($("landmarks").dataset.missing);
  actions.landmarks = !actions.landmarks;
  press("landmarks", actions.landmarks);
  if (actions.landmarks && isPrivate()) note(TEXT.landmarksPrivate);
  return page.onLandmarks();
}

function toggleHelp() {
  if ($("help").open) $("help").close();
  else $("help").showModal();
}

// ---- in the program, for all viewers

/**
 * Display recording, privacy mode and saving as reported in a state or an answer; missing fields are unchanged. A state
 * that was made before the newest change, and arrives after the answer to it, is ignored.
 */
export function showProgram({
  settings_version: version, recording, privacy, saving, rare, detector, detectors,
  privacy_locked: locked, privacy_lifted_at: lifted, sessions_version: sessions,
}) {
  const behind = actions.version - version;
  if (behind > 0 && behind < MAX_BEHIND) return;
  actions.version = version ?? actions.version;
  if (version !== undefined) tally.setVersion(version);
  if (rare !== undefined) showRare(rare);
  if (detector !== undefined) showDetector(detector, detectors);
  if (saving !== undefined) showSaving(saving);
  if (privacy !== undefined && privacy !== actions.privacy) {
    actions.privacy = privacy;
    press("privacy", privacy);
    $("privacy-badge").hidden = !privacy;
    page.onPrivacy();
  }
  if (locked !== undefined) showLocked(locked);
  if (lifted !== undefined) showLifted(lifted);
  if (recording !== undefined) {
    actions.recording = recording;
    showRecording(recording);
  }
  if (sessions !== undefined) noteSessionsVersion(sessions);
}

/** Privacy mode that nobody can lift: its button says why. */
function showLocked(locked) {
  if ($("privacy").disabled === locked) return;
  $("privacy").disabled = locked;
  nameControl($("privacy"), locked ? `${TEXT.page.privacy}: ${TEXT.privacyLocked}` : TEXT.page.privacy);
  $("privacy-badge").title = locked ? TEXT.privacyLocked : "";
}

/** Faces became visible: whoever looks at a page must know. lifted: when; null if never. */
function showLifted(lifted) {
  const isNews = actions.lifted !== undefined && lifted !== null && lifted !== actions.lifted;
  actions.lifted = lifted;
  if (isNews) note(TEXT.privacyLifted, LIFTED_MS);
}

/** People in front of the camera must know that video is saved. saving: null if the program saves none. */
function showSaving(saving) {
  const error = saving?.error;
  if (error && actions.saving && !actions.saving.error) note(TEXT.video.broke(error));
  actions.saving = saving;
  $("saving").hidden = !error && !saving?.name;
  $("saving").dataset.state = error ? "failed" : "recording";
  setText($("saving"), error ? TEXT.video.failed : TEXT.video.saving);
  const kept = error ? TEXT.video.storedOnce(error) : TEXT.video.stored;
  const notKept = actions.recording?.on && actions.recording.video ? TEXT.video.recorded : TEXT.video.notStored;
  for (const element of document.querySelectorAll(".stored")) setText(element, saving ? kept : notKept);
}

/** rare: how often rare expressions are expected, 0 to 1, a step or not; null for a network without base rates. */
function showRare(rare) {
  $("rare-control").hidden = rare === null;
  if (rare === null || rare === Number($("rare").value || NaN)) return;
  actions.trained ??= rare; // the value at first sight: that of the command line or of the network
  const steps = new Map([...TEXT.rareSteps, [rare, `${rare}`], [actions.trained, TEXT.rareTrained], ...TEXT.rareSteps]);
  const options = [...steps].sort(([a], [b]) => a - b).map(([value, text]) => new Option(text, value));
  $("rare").replaceChildren(...options);
  $("rare").value = rare;
}

async function expectRare() {
  try {
    showProgram(await postJson("api/rare", { rare: Number($("rare").value) }));
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

/** The detector in use; with at least two to choose from, as a list. */
function showDetector(detector, detectors = []) {
  const select = $("detector");
  const choosable = detectors.length > 1;
  select.hidden = !choosable;
  $("detector-name").hidden = choosable;
  setText($("detector-name"), detector);
  if (actions.choosesDetector) return;
  if ([...select.options].map(({ value }) => value).join() !== detectors.join()) {
    select.replaceChildren(...detectors.map((name) => new Option(TEXT.detectors[name] ?? name, name)));
  }
  if (select.value !== detector) select.value = detector;
}

/** The first choice of a detector may take seconds. */
async function chooseDetector() {
  const { value } = $("detector");
  actions.choosesDetector = true;
  $("detector").disabled = true;
  try {
    const answer = await postJson("api/detector", { detector: value });
    actions.choosesDetector = false;
    showProgram(answer);
  } catch (error) {
    note(TEXT.notDone(error.message));
  } finally {
    actions.choosesDetector = false;
    $("detector").disabled = false;
  }
}

async function togglePrivacy() {
  if ($("privacy").disabled) return note(TEXT.privacyLocked);
  const on = !actions.privacy;
  if (!on && !(await ask(TEXT.lift))) return;
  try {
    showProgram(await postJson("api/privacy", { on }));
    if (actions.privacy) note(TEXT.privacyOn); // when it is lifted, all pages say so
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

// ---- buttons and keys

const BUTTONS = {
  pause: togglePause,
  save,
  record: () => toggleRecord(showProgram),
  mark,
  privacy: togglePrivacy,
  mirror: toggleMirror,
  heat: toggleHeat,
  landmarks: toggleLandmarks,
  present: togglePresent,
  "small-window": toggleSmallWindow,
  keys: toggleHelp,
  "help-close": toggleHelp,
};

/** Bind buttons and shortcuts; each button's key is its data-key. */
export function bindActions(callbacks) {
  page = callbacks;
  const keys = new Map([[" ", togglePause]]); // as p
  for (const [id, run] of Object.entries(BUTTONS)) {
    $(id).addEventListener("click", run);
    if ($(id).dataset.key) keys.set($(id).dataset.key, run);
  }
  const { missing } = $("landmarks").dataset;
  if (missing) nameControl($("landmarks"), `${TEXT.page.landmarks}: ${missing}`);
  $("rare").addEventListener("change", expectRare);
  $("detector").addEventListener("change", chooseDetector);
  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : "";
    if (!keys.has(key) || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!$("shortcuts").checked) return; // speech input may press letters unintentionally
    if (event.target.closest("input:not([type=range]), textarea, select")) return;
    if (key === " " && event.target.closest("button, a, [tabindex], input")) return; // it has its own function there
    const dialog = document.querySelector("dialog[open]");
    if (dialog && (dialog !== $("help") || key !== "?")) return;
    const control = document.querySelector(`[data-key="${key === " " ? "p" : key}"]`);
    if (control?.checkVisibility() === false && control !== $("mark")) return; // not in this view; a marker's key says why
    event.preventDefault();
    keys.get(key)();
  });
}
