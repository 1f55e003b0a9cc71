// The page: which view is displayed (the program's source, this browser's camera, or images), and what updates it.

import { actions, bindActions, isPrivate, setHeat, setPaused, showProgram, wantsLandmarks } from "./actions.js";
import { BrowserCamera } from "./browser_camera.js";
import { filterShown, display, drawOverlay, hasPicture, showLandmarks, showNotice, showPicture } from "./canvas.js";
import { onThemeChange } from "./colors.js";
import { $, fillTexts, note, setText } from "./dom.js";
import { bindDrops } from "./drops.js";
import { onChoose, showFaces } from "./face_cards.js";
import { FilesLink } from "./files_link.js";
import { announce, hintFor, showBadge, showBanner, showHeader, showHint, showNothing } from "./header.js";
import { History } from "./history.js";
import { PrivacyFilter } from "./privacy.js";
import { ProgramStream } from "./program_stream.js";
import { fetchJson } from "./server.js";
import { showSession } from "./session_summary.js";
import { bindSources } from "./sources.js";
import { TEXT } from "./texts.js";
import { Timeline } from "./timeline.js";
import { analyzeImages, bindImages, closeImages, refreshImages } from "./uploads.js";

const POLL_MS = 2000; // between two requests for the program's controls, while no stream reports them

fillTexts();
const history = new History();
const timeline = new Timeline(history);

let view = "live"; // or "camera", "images", "files"
let badge = null; // a state of the page that takes precedence over the source's
let newest = null; // the state on display
let lastIndex = null;
let sourceName = "";
let privacyFilter = new PrivacyFilter();

/** Whether nobody is looking at new pictures, so that none are requested. */
const isIdle = () => document.hidden || actions.paused;

// ---- one state, from any view

function show(state) {
  newest = state;
  showProgram(state);
  showHeader(state, badge);
  showHint(hintFor(state));
  if (view !== "images") addToHistory(state);
  showFaces(state.faces, { chosenId: view === "images" ? null : timeline.face, jump: view === "images" });
  announce(state, { isImage: view === "images" });
}

/** Add a frame to the history, once; another source starts a new session. */
function addToHistory({ source, frame, faces }) {
  if (frame == null || frame.index === lastIndex) return;
  lastIndex = frame.index;
  if (source.name !== sourceName) clearHistory(); // only once it delivers frames: opening it may fail
  sourceName = source.name;
  const now = performance.now();
  history.add(faces, now / 1000);
  timeline.update(faces);
  showSession(history, { now });
}

function clearHistory() {
  history.clear();
  timeline.clear();
  showSession(history, { force: true });
}

function showFrame(picture, state, filter = null) {
  badge = null;
  const { frame } = state;
  showPicture(picture, { faces: frame ? state.faces : [], index: frame?.index, frameWidth: frame?.width, filter });
  show(state);
  document.dispatchEvent(new CustomEvent("mien:frame", { detail: { state } })); // for tests and benchmarks
}

// ---- the program's own source

const live = new ProgramStream({
  onFrame: showFrame,
  onState: show,
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
  showFaces([]);
  showHint("");
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
    showFrame(canvas, state, isPrivate() ? pixelate : null);
  },
  onError(error) {
    if (error.state) cameraFailed(error);
    else showBanner(error.message);
  },
});

function cameraFailed({ state, message }) {
  badge = state;
  showNotice(message);
  show({ source: { name: TEXT.camera.name, state }, fps: null, latency_ms: null, frame: null, faces: [] });
  showHint("");
}

async function openCamera() {
  switchView("camera");
  showBadge("connecting");
  showNotice(TEXT.camera.asking);
  try {
    await camera.start();
    if (view !== "camera") return;
    show({ source: { name: TEXT.camera.name, state: "live" }, fps: null, latency_ms: null, frame: null, faces: [] });
    showNotice(TEXT.waiting);
  } catch (error) {
    if (view === "camera") cameraFailed(error);
  }
}

// ---- images

async function openImages(files) {
  switchView("images");
  showBadge("image");
  showNotice(TEXT.images.working(files.length));
  showFaces([]);
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
    showFaces([]);
    $("no-face").hidden = true;
    setText($("truth"), "");
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
  privacyFilter = new PrivacyFilter();
  setHeat(false);
  setPaused(false);
  showBanner("");
  $("pause").disabled = next === "images";
  document.querySelector(next === "files" ? "body" : ".screen").append($("note")); // where it can be seen
  queue.refresh();
  pollControls();
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
  onLandmarks() {
    updateLandmarks();
    if (view === "images" && wantsLandmarks()) note(TEXT.landmarksImages);
  },
  onPrivacy() {
    updateLandmarks();
    privacyFilter = new PrivacyFilter();
    queue.refresh({ pictures: true });
    if (view === "images") return refreshImages();
    if (!isPrivate() || !newest) return undefined;
    filterShown(pixelate); // a paused picture would continue to show its faces
    return showFaces(newest.faces, { chosenId: timeline.face, jump: true });
  },
  isLive: () => view === "live",
  isWatched: () => view === "live" && !isIdle(),
});
bindSources({ onProgram: goLive, onCamera: openCamera, onQueue: () => openQueue(), isLive: () => view === "live" });
bindDrops({ onImages: openImages, onQueue: openQueue, isQueueOpen: () => view === "files" });
bindImages({ isPrivate, wantsLandmarks });
onThemeChange(drawOverlay);
onChoose((id) => {
  timeline.choose(id);
  if (newest && view !== "images") showFaces(newest.faces, { chosenId: id });
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
if (new URLSearchParams(location.search).has("token")) window.history.replaceState(null, "", location.pathname);

display.threshold = $("threshold").valueAsNumber / 100;
display.minQuality = Number($("faces").dataset.minQuality);
$("threshold-value").textContent = TEXT.percent(display.threshold);
showSession(history, { force: true });
updateStreams();
queue.restore(openQueue);
