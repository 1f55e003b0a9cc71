// The page: which view is displayed (the program's source, this browser's camera, or images), and what updates it.

import { actions, bindActions, isPrivate, mirror, setHeat, setPaused, showProgram, wantsLandmarks } from "./actions.js";
import { ask } from "./ask.js";
import { BrowserCamera } from "./browser_camera.js";
import { filterShown, display, drawOverlay, hasPicture, showLandmarks, showNotice, showPicture } from "./canvas.js";
import { choices, remember } from "./choices.js";
import { onThemeChange } from "./colors.js";
import { $, fillTexts, note } from "./dom.js";
import { bindDrops } from "./drops.js";
import { onChoose, showFaces } from "./face_cards.js";
import { EventStream } from "./event_stream.js";
import { FilesLink } from "./files_link.js";
import { announce, hintFor, showBadge, showBanner, showHeader, showHint, showNothing } from "./header.js";
import { History } from "./history.js";
import { bindLanguage } from "./language.js";
import { showNoData, showStale } from "./no_data.js";
import { isPhoto, numbered } from "./photo.js";
import { bindPresent, showStrips } from "./present.js";
import { PrivacyFilter } from "./privacy.js";
import { showOutputs } from "./outputs.js";
import { ProgramStream } from "./program_stream.js";
import { bindRecording, setRecordedKey, setRecordedView, showOwnRecording } from "./recording.js";
import { takeBaselines } from "./rest.js";
import { recentMarkers } from "./running_session.js";
import { fetchJson } from "./server.js";
import { bindSessionPanel, countFaces, tally } from "./session_panel.js";
import { bindSmallWindow, drawSmallWindow, isSmallWindowOpen, isSupported } from "./small_window.js";
import { bindSources, openAgain, openSheet, refreshSheet } from "./sources.js";
import { bindSteps, showSteps, stepsFor } from "./steps.js";
import { TEXT } from "./texts.js";
import { Timeline } from "./timeline.js";
import { analyzeImages, bindImages, closeImages, refreshImages } from "./uploads.js";

const POLL_MS = 2000; // between two requests for the program's controls, while no stream reports them
const FLOWING = new Set(["live", "file", "demo"]);

fillTexts();
const history = new History();
const timeline = new Timeline(history, recentMarkers);

const { only } = document.body.dataset; // "stage" or "bars": for another program's scene or page
let view = "live"; // or "camera", "images", "files"
let badge = null; // a state of the page that takes precedence over the source's
let newest = null; // the state on display
let lastIndex = null;
let sourceName = ""; // of the source that the timeline is about
let opening = null; // name of the source of the program that is being opened
let mirrorsOthers = false; // whether sources other than this browser's camera are mirrored
let privacyFilter = new PrivacyFilter();

/** Whether nobody is looking at new pictures, so that none are requested. */
const isIdle = () => (document.hidden && !isSmallWindowOpen()) || actions.paused;

// ---- one state, from any view

function show(state) {
  newest = state;
  takeBaselines(view === "images" ? null : (state.baselines ?? []), state.track);
  showProgram(state);
  showOutputs(state.outputs);
  showHeader(state, badge);
  showHint(hintFor(state));
  showSteps(stepsFor(state, view === "camera"));
  const photo = view === "live" && isPhoto(state.source);
  document.body.toggleAttribute("data-photo", photo);
  if (view !== "images" && !photo) addToHistory(state);
  showFaces(state.faces, { chosenId: view === "images" ? null : timeline.face, jump: view === "images" });
  showStrips(state.faces);
  announce(state, { isImage: view === "images" });
}

/** Add a frame to timeline and session, once; another source starts a new timeline. */
function addToHistory({ source, frame, faces }) {
  const isOther = source.name !== sourceName;
  if (frame == null) return isOther ? showStale(TEXT.nothingYet(source.name)) : undefined;
  if (isOther) clearHistory(); // only once it delivers frames: opening it may fail
  sourceName = source.name;
  showStale("");
  if (frame.index === lastIndex && !isOther) return undefined;
  lastIndex = frame.index;
  const now = performance.now();
  history.add(faces, now / 1000);
  timeline.update(faces);
  return countFaces(faces, now, view === "camera" ? "camera" : "program");
}

/** Remove what was known of the source before, and say why there is nothing. */
function clearSource(reason) {
  newest = null;
  showNoData(reason);
}

function clearHistory() {
  history.clear();
  timeline.clear();
}

function showFrame(picture, state, filter = null) {
  badge = null;
  const { frame } = state;
  showPicture(picture, { faces: frame ? state.faces : [], index: frame?.index, frameWidth: frame?.width, filter });
  show(state);
  drawSmallWindow();
  document.dispatchEvent(new CustomEvent("mien:frame", { detail: { state } })); // for tests and benchmarks
}

// ---- the program's own source

/** A picture of the program with its state; one of a source before has no frame in its state. */
function showLive(picture, state) {
  if (opening !== null) return showProgram(state);
  if (state.frame == null && FLOWING.has(state.source.state)) return showLiveState(state);
  return showFrame(picture, numbered(state));
}

function showLiveState(state) {
  if (opening !== null) return showProgram(state);
  if (state.frame == null && FLOWING.has(state.source.state) && hasPicture()) showNotice(TEXT.waiting);
  return show(numbered(state));
}

/** name: of the source that is being opened; null if that failed, so that the source before goes on. */
function showOpening(name) {
  opening = view === "live" ? name : null;
  if (opening === null) return;
  showBadge("connecting");
  showNotice(TEXT.sources.opening(name));
  clearSource(TEXT.sources.opening(name));
}

const playAgain = () => openAgain(newest?.source.name ?? "", (text) => note(TEXT.notDone(text)));

const live = new (only === "bars" ? EventStream : ProgramStream)({
  onFrame: showLive,
  onState: showLiveState,
  onFull() {
    badge = "full";
    showNotice(TEXT.full);
  },
  onLost() {
    showLost();
    showNotice(TEXT.away);
  },
  onRestored() {
    showBanner("");
    showNotice(TEXT.waiting);
  },
});

function showLost() {
  showBanner(TEXT.lost);
  showNothing("lost");
  clearSource(TEXT.away);
}

// ---- this browser's camera

/** Privacy mode for pictures that do not come from the program's stream. */
const pixelate = (context, faces) => privacyFilter.apply(context, faces, performance.now() / 1000);

const camera = new BrowserCamera({
  isWanted: () => !isIdle(),
  wantsLandmarks,
  onFrame(canvas, state) {
    showBanner("");
    if (state.new_scene) privacyFilter = new PrivacyFilter(); // faces are elsewhere now
    showOwnRecording(state.recording, state.latency_ms);
    showFrame(canvas, state, isPrivate() ? pixelate : null);
  },
  onKey: setRecordedKey,
  onError(error) {
    if (error.state) cameraFailed(error);
    else showBanner(error.message);
  },
});
camera.lastFace = tally.lastOwnFace; // after a reload, another face has another number

const cameraState = (state, canRetry) => ({
  source: { name: TEXT.camera.name, state, canRetry }, fps: null, latency_ms: null, frame: null, faces: [],
});

function cameraFailed({ state, message, canRetry }) {
  badge = state;
  showNotice(message);
  show(cameraState(state, canRetry));
  showHint("");
}

async function openCamera() {
  switchView("camera");
  showBadge("connecting");
  showNotice(TEXT.camera.asking);
  try {
    await camera.start(choices);
    if (view !== "camera") return;
    show(cameraState("live"));
    showNotice(TEXT.waiting);
    refreshSheet();
  } catch (error) {
    if (view === "camera") cameraFailed(error);
  }
}

// ---- images

async function openImages(files) {
  switchView("images");
  showBadge("image");
  showNotice(TEXT.images.working(files.length));
  await analyzeImages(files, showImage);
}

function showImage({ name, bitmap, answer, error }) {
  const source = { name, state: "image", reason: error ?? null };
  const state = { source, fps: null, latency_ms: null, frame: null, faces: [] };
  if (answer) {
    state.frame = { index: null, width: answer.width, height: answer.height };
    state.faces = answer.faces.map((face, i) => ({ ...face, id: face.id ?? i + 1 }));
  }
  privacyFilter = new PrivacyFilter();
  const filter = isPrivate() ? pixelate : null;
  if (bitmap) showFrame(bitmap, state, filter);
  else {
    showNotice(error ?? TEXT.images.unreadable);
    show(state);
  }
  showHint(error ?? (state.faces.length ? "" : TEXT.images.bare));
}

// ---- the queue of files

const queue = new FilesLink({ isPrivate, isOpen: () => view === "files", onBack: goLive });

async function openQueue(items = []) {
  const files = await queue.load().catch(() => null); // the user is told why
  if (!files) return;
  if (view !== "files") {
    switchView("files");
    showBadge("files");
  }
  await files.add(items);
}

// ---- switching views

let pollTimer = 0;

function switchView(next) {
  if (view === "camera") camera.stop();
  if (view === "images") closeImages();
  if (view === "live") live.stop();
  view = next;
  badge = null;
  document.body.dataset.view = next;
  setRecordedView(next);
  privacyFilter = new PrivacyFilter();
  opening = null;
  setHeat(false);
  setPaused(false);
  showMirror();
  showBanner("");
  clearSource(TEXT.waiting);
  $("pause").disabled = next === "images";
  document.querySelector(next === "files" ? "body" : ".screen").append($("note")); // where it can be seen
  queue.refresh();
  pollControls();
}

const showMirror = () => mirror(view === "camera" ? choices.mirror : mirrorsOthers);

function mirrorOwn(on) {
  remember({ mirror: on });
  showMirror();
}

/** Whether no stream reports the program's controls: another view is open, or the picture is paused. */
const isDetached = () => view !== "live" || actions.paused;

/** Poll recording and privacy mode while no stream reports them. */
function pollControls() {
  clearInterval(pollTimer);
  if (!isDetached()) return;
  pollTimer = setInterval(fetchControls, POLL_MS);
  fetchControls();
}

async function fetchControls() {
  if (document.hidden) return;
  const program = await fetchJson("api/controls").catch(() => null); // lets the source become idle
  if (program && isDetached()) showProgram(program);
}

/** The program has opened a source: show it, and nothing of the one before. */
function showProgramSource() {
  opening = null;
  if (view === "live") {
    showNotice(TEXT.waiting);
    clearSource(TEXT.waiting);
  }
  goLive();
}

function goLive() {
  if (view !== "live") {
    switchView("live");
    showNotice(TEXT.waiting);
  }
  setPaused(false); // a source that is chosen is displayed
  updateStreams();
}

function updateStreams() {
  pollControls();
  if (actions.paused) showBadge("paused");
  if (view !== "live") return;
  if (isIdle()) live.stop();
  else {
    if (!hasPicture()) showNotice(TEXT.waiting);
    live.start();
  }
}

// ---- user actions

function updateLandmarks() {
  live.setLandmarks(wantsLandmarks());
  showLandmarks(wantsLandmarks());
}

bindActions({
  onPause: updateStreams,
  onMirror(on) {
    if (view === "camera") mirrorOwn(on);
    else mirrorsOthers = on;
    showMirror();
    refreshSheet();
  },
  onLandmarks() {
    updateLandmarks();
    if (view === "images" && wantsLandmarks()) note(TEXT.landmarksImages);
  },
  onPrivacy() {
    updateLandmarks();
    privacyFilter = new PrivacyFilter();
    queue.refresh({ pictures: true });
    refreshSheet();
    if (view === "images") return refreshImages();
    if (!isPrivate() || !newest) return undefined;
    filterShown(pixelate); // a paused picture would continue to show its faces
    return showFaces(newest.faces, { chosenId: timeline.face, jump: true });
  },
  isLive: () => view === "live",
  isWatched: () => view === "live" && !isIdle(),
});
bindSources({
  onOpening: showOpening,
  onProgram: showProgramSource,
  onCamera: openCamera,
  onMirror: mirrorOwn,
  onQueue: () => openQueue(),
  view: () => view,
  source: () => newest?.source.name ?? null,
  camera: () => camera.granted,
  isPrivate,
});
bindSteps({ camera: openCamera, retry: openCamera, again: playAgain, reopen: playAgain, sources: openSheet });
if (!only) bindDrops({ onImages: openImages, onQueue: openQueue, isQueueOpen: () => view === "files" });
bindImages({ isPrivate, wantsLandmarks });
bindRecording();
bindSessionPanel();
bindPresent();
bindSmallWindow(updateStreams);
bindLanguage(async () => view === "live" || ask(TEXT.reload));
$("small-window").hidden = !isSupported();
onThemeChange(drawOverlay);
onChoose((id) => {
  timeline.choose(id);
  if (newest) showFaces(newest.faces, { chosenId: view === "images" ? null : id, jump: view === "images" });
});
$("back").addEventListener("click", goLive);
$("files-badge").addEventListener("click", () => openQueue());
$("threshold").addEventListener("input", () => {
  display.threshold = $("threshold").valueAsNumber / 100;
  $("threshold-value").textContent = TEXT.percent(display.threshold);
  drawOverlay();
  if (newest) showFaces(newest.faces, { chosenId: view === "images" ? null : timeline.face });
});
document.addEventListener("visibilitychange", updateStreams);

// A token in the address is no longer needed: it should not be visible, copied or kept in the browser's history.
const query = new URLSearchParams(location.search);
if (query.has("token")) {
  query.delete("token");
  window.history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
}

display.threshold = $("threshold").valueAsNumber / 100;
display.minQuality = Number($("faces").dataset.minQuality);
$("threshold-value").textContent = TEXT.percent(display.threshold);
updateStreams();
if (!only) queue.restore(openQueue);
