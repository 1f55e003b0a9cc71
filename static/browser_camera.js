// This browser's camera: one frame at a time is sent to the program and displayed with its result.

import { newName, pause } from "./dom.js";
import { fetchJson } from "./server.js";
import { TEXT } from "./texts.js";

/** Width and height to ask for, by name. What is sent and analyzed is no larger. */
const SIZES = { 480: [640, 480], 720: [1280, 720], 1080: [1920, 1080] };
const FPS = 30;
const QUALITY = 0.85; // of the JPEG
const BUSY_RETRY_MS = 1000;
const ERROR_RETRY_MS = 500;
const RATE_WINDOW_S = 2;
const HIDDEN_POLL_MS = 200;
const MAX_GAP_MS = 5000; // between two frames of a sequence: the program's keys expire after twice this time

/** The camera cannot be used; the message says what to do, `state` names the badge, and trying again may help. */
export class CameraError extends Error {
  constructor(state, text, canRetry = true) {
    super(text);
    Object.assign(this, { state, canRetry });
  }
}

export class BrowserCamera {
  /**
   * onFrame(canvas, state): a frame with its result, in the form of the program's state. Only one frame is in flight:
   * a slow program or network lowers the rate but adds no delay. onError(error): the camera resumes by itself if
   * error.state is undefined. onKey(key): the key under which images are analyzed, whenever it changes. isWanted():
   * whether somebody is looking. wantsLandmarks(): whether landmarks are shown.
   */
  constructor({ onFrame, onError, onKey, isWanted, wantsLandmarks }) {
    Object.assign(this, { onFrame, onError, onKey, isWanted, wantsLandmarks });
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true });
    this.canvas = new OffscreenCanvas(1, 1); // unlike a canvas element it encodes at once, not when idle
    this.stream = null;
    this.lastFace = 0; // the highest face id so far
  }

  /** The camera that is open: {deviceId, label, width, height}; null without one. */
  get granted() {
    const track = this.stream?.getVideoTracks()[0];
    return track ? { ...track.getSettings(), label: track.label } : null;
  }

  /** Open a camera and start. device: its id, null for the browser's choice. size: see SIZES. Throws CameraError. */
  async start({ device = null, size = "480" } = {}) {
    const stop = new AbortController();
    this.stopped = stop.signal;
    this.stop = () => {
      stop.abort();
      this.#release();
    };
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("refused", TEXT.camera.insecure, false);
    this.maxSide = Math.max(...(SIZES[size] ?? SIZES[480]));
    try {
      const stream = await openCamera(device, size);
      if (stop.signal.aborted) return release(stream); // stopped meanwhile, and perhaps started again
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      if (stop.signal.aborted) return;
    } catch (error) {
      if (stop.signal.aborted) return;
      this.#release();
      throw toCameraError(error);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (!stop.signal.aborted) this.onError(new CameraError("nocamera", TEXT.camera.gone));
      this.stop();
    });
    this.#analyzeFrames(stop.signal);
  }

  stop() {}

  #release() {
    release(this.stream);
    this.stream = this.video.srcObject = null;
  }

  async #analyzeFrames(stopped) {
    const times = [];
    let sequence = null;
    for (let index = 0; !stopped.aborted; index += 1) {
      if (!this.isWanted()) {
        await pause(HIDDEN_POLL_MS);
        continue;
      }
      const capturedAt = performance.now();
      if (!sequence || capturedAt - sequence.at > MAX_GAP_MS) {
        sequence = { key: newName(), shift: this.lastFace, at: capturedAt, newScene: true };
      }
      try {
        const landmarks = this.wantsLandmarks() ? "&landmarks=1" : "";
        const answer = await fetchJson(`api/analyze?track=${sequence.key}${landmarks}`, {
          method: "POST",
          headers: { "Content-Type": "image/jpeg" },
          body: await this.#capture(),
          signal: stopped,
        });
        if (!sequence.known) this.onKey(sequence.key);
        sequence.known = true;
        sequence.newScene ||= answer.new_scene; // even if this answer is not displayed
        if (stopped.aborted || !this.isWanted()) continue;
        sequence.at = performance.now();
        times.push(sequence.at);
        while (times[0] < times.at(-1) - 1000 * RATE_WINDOW_S) times.shift();
        this.onFrame(this.canvas, describe(this.#renumber(answer, sequence), index, capturedAt, times));
        sequence.newScene = false;
      } catch (error) {
        if (stopped.aborted) return;
        if (error.status !== 429) sequence = null; // the program may have restarted
        this.onError(error.status === 429 ? new Error(TEXT.camera.crowded) : error);
        await pause(error.status === 429 ? BUSY_RETRY_MS : ERROR_RETRY_MS);
      }
    }
  }

  /** The program numbers the faces of each sequence from 1; here ids are unique across sequences. */
  #renumber(answer, { key, shift, newScene }) {
    const faces = answer.faces.map((face) => ({ ...face, id: face.id + shift }));
    const baselines = (answer.baselines ?? []).map((each) => ({ ...each, face: each.face + shift }));
    this.lastFace = Math.max(this.lastFace, ...faces.map(({ id }) => id));
    return { ...answer, faces, baselines, new_scene: newScene, track: { key, shift } };
  }

  /** The camera's newest frame as JPEG; it stays on the canvas until the next one is captured. */
  #capture() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, this.maxSide / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return this.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  }
}

/** A device that is no longer there is replaced by another one; any other one would not be what the user chose. */
async function openCamera(device, size) {
  const [width, height] = SIZES[size] ?? SIZES[480];
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: FPS } };
  const open = (wanted) => navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  if (!device) return open(video);
  try {
    return await open({ ...video, deviceId: { exact: device } });
  } catch (error) {
    if (error.name !== "OverconstrainedError" && error.name !== "NotFoundError") throw error;
    return open(video);
  }
}

/** Release a camera, which turns its light off. */
function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function describe({ width, height, faces, new_scene, recording, baselines, track }, index, capturedAt, times) {
  const spanS = (times.at(-1) - times[0]) / 1000;
  return {
    source: { name: TEXT.camera.name, state: "live" },
    fps: spanS > 0 ? (times.length - 1) / spanS : 0,
    latency_ms: performance.now() - capturedAt,
    frame: { index, width, height },
    faces,
    new_scene,
    recording,
    baselines,
    track,
  };
}

/** For the exceptions of getUserMedia(), see W3C Media Capture and Streams. */
function toCameraError(error) {
  const known = {
    NotAllowedError: ["refused", TEXT.camera.refused],
    SecurityError: ["refused", TEXT.camera.refused],
    NotFoundError: ["nocamera", TEXT.camera.none],
    OverconstrainedError: ["nocamera", TEXT.camera.none],
    NotReadableError: ["nocamera", TEXT.camera.busy],
    AbortError: ["nocamera", TEXT.camera.busy],
  };
  return new CameraError(...(known[error.name] ?? ["nocamera", TEXT.camera.failed(error.message)]));
}
