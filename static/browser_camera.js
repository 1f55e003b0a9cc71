// This browser's camera: one frame at a time goes to the program, and is shown with its answer.

import { newName, pause } from "./dom.js";
import { fetchJson } from "./server.js";
import { TEXT } from "./texts.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const MAX_WIDTH = 640;
const QUALITY = 0.85; // of the JPEG
const CROWDED_MS = 1000;
const TROUBLE_MS = 500;
const RATE_OVER_S = 2;
const HIDDEN_MS = 200;
const SERIES_MS = 5000; // pictures further apart are of two series: the program forgets faces after twice as long

/** A camera that can not be used, in words that say what to do; `state` names the badge. */
export class CameraError extends Error {
  constructor(state, text) {
    super(text);
    this.state = state;
  }
}

export class BrowserCamera {
  /**
   * onFrame(canvas, state): a frame with the answer to it, the state as the program's own; one is in flight at a time,
   * so that a slow program or network makes it slower, never later. onTrouble(error): it goes on by itself where
   * error.state is undefined. isWanted(): whether somebody looks.
   */
  constructor({ onFrame, onTrouble, isWanted }) {
    Object.assign(this, { onFrame, onTrouble, isWanted });
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true });
    this.canvas = new OffscreenCanvas(1, 1); // unlike a canvas's toBlob it encodes at once, not when the page is idle
    this.stream = null;
    this.lastFace = 0; // the highest number that a face had
  }

  /** Ask for the camera and begin. Throws CameraError. */
  async start() {
    const stop = new AbortController();
    this.stopped = stop.signal;
    this.stop = () => {
      stop.abort();
      this.#release();
    };
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("refused", TEXT.camera.insecure);
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
      if (stop.signal.aborted) return release(stream); // the user has gone on meanwhile, maybe to another start
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      if (stop.signal.aborted) return;
    } catch (error) {
      if (stop.signal.aborted) return;
      this.#release();
      throw explain(error);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (!stop.signal.aborted) this.onTrouble(new CameraError("nocamera", TEXT.camera.gone));
      this.stop();
    });
    this.#follow(stop.signal);
  }

  stop() {}

  #release() {
    release(this.stream);
    this.stream = this.video.srcObject = null;
  }

  async #follow(stopped) {
    const times = [];
    let series = null;
    for (let index = 0; !stopped.aborted; index += 1) {
      if (!this.isWanted()) {
        await pause(HIDDEN_MS);
        continue;
      }
      const taken = performance.now();
      if (!series || taken - series.at > SERIES_MS) series = { key: newName(), shift: this.lastFace, at: taken, newScene: true };
      try {
        const answer = await fetchJson(`/api/analyze?track=${series.key}`, {
          method: "POST",
          headers: { "Content-Type": "image/jpeg" },
          body: await this.#take(),
          signal: stopped,
        });
        series.newScene ||= answer.new_scene; // also where this answer is not shown
        if (stopped.aborted || !this.isWanted()) continue;
        series.at = performance.now();
        times.push(series.at);
        while (times[0] < times.at(-1) - 1000 * RATE_OVER_S) times.shift();
        this.onFrame(this.canvas, describe(this.#countOn(answer, series), index, taken, times));
        series.newScene = false;
      } catch (error) {
        if (stopped.aborted) return;
        if (error.status !== 429) series = null; // the program may know nothing any more
        this.onTrouble(error.status === 429 ? new Error(TEXT.camera.crowded) : error);
        await pause(error.status === 429 ? CROWDED_MS : TROUBLE_MS);
      }
    }
  }

  /** The program counts the faces of each series from 1; here no two share a number. */
  #countOn(answer, { shift, newScene }) {
    const faces = answer.faces.map((face) => ({ ...face, id: face.id + shift }));
    this.lastFace = Math.max(this.lastFace, ...faces.map(({ id }) => id));
    return { ...answer, faces, new_scene: newScene };
  }

  /** The newest frame of the camera as JPEG; it stays on the canvas until the next is taken. */
  #take() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, MAX_WIDTH / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return this.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  }
}

/** Give a camera back: its light goes out. */
function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function describe({ width, height, faces, new_scene }, index, taken, times) {
  const spanS = (times.at(-1) - times[0]) / 1000;
  return {
    source: { name: TEXT.camera.name, state: "live" },
    fps: spanS > 0 ? (times.length - 1) / spanS : 0,
    latency_ms: performance.now() - taken,
    frame: { index, width, height },
    faces,
    new_scene,
  };
}

/** The exceptions are those of W3C Media Capture and Streams, getUserMedia(). */
function explain(error) {
  const known = {
    NotAllowedError: ["refused", TEXT.camera.refused],
    SecurityError: ["refused", TEXT.camera.refused],
    NotFoundError: ["nocamera", TEXT.camera.none],
    OverconstrainedError: ["nocamera", TEXT.camera.none],
    NotReadableError: ["nocamera", TEXT.camera.busy],
    AbortError: ["nocamera", TEXT.camera.busy],
  };
  return new CameraError(...(known[error.name] ?? ["nocamera", TEXT.camera.other(error.message)]));
}
