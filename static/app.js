// The page: what is shown (the program's source, this browser's camera, or images) and who hears of it.

import { actions, bindActions, isPrivate, setHeat, setPaused, showProgram } from "./actions.js";
import { BrowserCamera } from "./browser_camera.js";
import { coverShown, display, drawOverlay, hasPicture, showNotice, showPicture } from "./canvas.js";
import { onThemeChange } from "./colors.js";
import { $, fillTexts } from "./dom.js";
import { onChoose, showFaces } from "./face_cards.js";
import { announce, hintFor, showBadge, showBanner, showHeader, showHint, showNothing } from "./header.js";
import { History } from "./history.js";
import { Cover } from "./privacy.js";
import { ProgramStream } from "./program_stream.js";
import { fetchJson } from "./server.js";
import { showSession } from "./session_summary.js";
import { bindSources } from "./sources.js";
import { TEXT } from "./texts.js";
import { Timeline } from "./timeline.js";
import { analyzeImages, bindImages, closeImages, refreshImages } from "./uploads.js";

const PROGRAM_MS = 2000; // between two questions what the program does, while no stream tells it

fillTexts();
const history = new History();
const timeline = new Timeline(history);

let view = "live"; // or "camera", "images"
let badge = null; // a state of the page's own that goes before that of the source
let newest = null; // the state that is shown
let lastIndex = null;
let sourceName = "";
let cover = new Cover();

/** Whether nobody looks at what is new: nobody is asked for anything then. */
const idle = () => document.hidden || actions.paused;

// ---- one state, whatever it comes from

function show(state) {
  newest = state;
  showProgram(state);
  showHeader(state, badge);
  showHint(hintFor(state));
  if (view !== "images") remember(state);
  showFaces(state.faces, { chosenId: view === "images" ? null : timeline.face, jump: view === "images" });
  announce(state, { isImage: view === "images" });
}

/** Each frame counts once, however often its state is told; another source is another session. */
function remember({ source, frame, faces }) {
  if (frame == null || frame.index === lastIndex) return;
  lastIndex = frame.index;
  if (source.name !== sourceName) forget(); // not before it gives pictures: another choice may fail
  sourceName = source.name;
  const now = performance.now();
  history.add(faces, now / 1000);
  timeline.update(faces);
  showSession(history, { now });
}

function forget() {
  history.clear();
  timeline.clear();
  showSession(history, { force: true });
}

function showFrame(picture, state, hide = null) {
  badge = null;
  const { frame } = state;
  showPicture(picture, { faces: frame ? state.faces : [], index: frame?.index, frameWidth: frame?.width, cover: hide });
  show(state);
  document.dispatchEvent(new CustomEvent("mien:frame", { detail: { state } })); // for those who measure the page
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
    lost();
    showNotice(TEXT.away);
  },
  onRestored() {
    showBanner("");
    showNotice(TEXT.waiting);
  },
});

function lost() {
  showBanner(TEXT.lost);
  showNothing("lost");
  showFaces([]);
  showHint("");
}

// ---- this browser's camera

/** Privacy mode: what is hidden of a picture that never went through the program's stream. */
const hide = (pen, faces) => cover.hide(pen, faces, performance.now() / 1000);

const camera = new BrowserCamera({
  isWanted: () => !idle(),
  onFrame(canvas, state) {
    showBanner("");
    if (state.new_scene) cover = new Cover(); // faces are elsewhere now
    showFrame(canvas, state, isPrivate() ? hide : null);
  },
  onTrouble(error) {
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
  enter("camera");
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
  enter("images");
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
  cover = new Cover();
  const hidden = isPrivate() ? hide : null;
  if (bitmap) showFrame(bitmap, state, hidden);
  else {
    showNotice(error ?? TEXT.images.unreadable);
    show(state);
  }
  showHint(error ?? (state.faces.length ? "" : TEXT.images.bare));
}

// ---- from one view to another

let programTimer = 0;

function enter(next) {
  if (view === "camera") camera.stop();
  if (view === "images") closeImages();
  if (view === "live") live.stop();
  view = next;
  badge = null;
  document.body.dataset.view = next;
  cover = new Cover();
  setHeat(false);
  setPaused(false);
  showBanner("");
  $("pause").disabled = next === "images";
  followProgram();
}

/** Whether no stream tells what the program does: another picture is shown, or one is held. */
const isApart = () => view !== "live" || actions.paused;

/** Whether it records and hides faces is the program's affair also then. */
function followProgram() {
  clearInterval(programTimer);
  if (!isApart()) return;
  programTimer = setInterval(askProgram, PROGRAM_MS);
  askProgram();
}

async function askProgram() {
  if (document.hidden) return;
  const program = await fetchJson("/api/controls").catch(() => null); // unlike the state, this lets the source rest
  if (program && isApart()) showProgram(program);
}

function goLive() {
  if (view !== "live") {
    enter("live");
    showNotice(TEXT.waiting);
  }
  setPaused(false); // who chooses a source wants to see it
  wake();
}

function wake() {
  followProgram();
  if (actions.paused) showBadge("paused");
  if (view !== "live") return;
  if (idle()) live.stop();
  else {
    if (!hasPicture()) showNotice(TEXT.waiting);
    live.start();
  }
}

// ---- what the user does

bindActions({
  onPause: wake,
  onPrivacy() {
    cover = new Cover();
    if (view === "images") return refreshImages();
    if (!isPrivate() || !newest) return undefined;
    coverShown(hide); // a picture that is held would go on showing its faces
    return showFaces(newest.faces, { chosenId: timeline.face, jump: true });
  },
  isLive: () => view === "live",
  isWatched: () => view === "live" && !idle(),
});
bindSources({ onProgram: goLive, onCamera: openCamera, isLive: () => view === "live" });
bindImages(openImages, isPrivate);
onThemeChange(drawOverlay);
onChoose((id) => {
  timeline.choose(id);
  if (newest && view !== "images") showFaces(newest.faces, { chosenId: id });
});
$("back").addEventListener("click", goLive);
$("threshold").addEventListener("input", () => {
  display.threshold = $("threshold").valueAsNumber / 100;
  $("threshold-value").textContent = TEXT.percent(display.threshold);
  drawOverlay();
  if (newest) showFaces(newest.faces, { chosenId: view === "images" ? null : timeline.face });
});
document.addEventListener("visibilitychange", wake);

// A token in the address has done its work: it need not be seen, copied or kept in the history.
if (new URLSearchParams(location.search).has("token")) window.history.replaceState(null, "", location.pathname);

display.threshold = $("threshold").valueAsNumber / 100;
$("threshold-value").textContent = TEXT.percent(display.threshold);
showSession(history, { force: true });
wake();
