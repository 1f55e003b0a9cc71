// Picture-in-picture: the picture with its labels in a small window that stays above all others.

import { hasPicture, paintPicture } from "./canvas.js";
import { note } from "./dom.js";
import { TEXT } from "./texts.js";

const WIDTH = 640;
const FONT_PX = 26; // such a window is small

const canvas = document.createElement("canvas");
const video = document.createElement("video");
video.muted = true;

export const isSupported = () => Boolean(document.pictureInPictureEnabled && canvas.captureStream);

/** Whether the window is open, so that pictures are wanted although the page itself may be hidden. */
export const isSmallWindowOpen = () => document.pictureInPictureElement === video;

export async function toggleSmallWindow() {
  if (isSmallWindowOpen()) return document.exitPictureInPicture();
  if (!hasPicture()) return note(TEXT.smallWindowNone);
  drawSmallWindow({ force: true });
  video.srcObject ??= canvas.captureStream();
  try {
    await video.play();
    await video.requestPictureInPicture();
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
  return undefined;
}

/** onChange(): the window was opened or closed. */
export function bindSmallWindow(onChange) {
  for (const name of ["enterpictureinpicture", "leavepictureinpicture"]) video.addEventListener(name, () => onChange());
}

/** Draw what the page shows. */
export function drawSmallWindow({ force = false } = {}) {
  if (force || isSmallWindowOpen()) paintPicture(canvas, { maxWidth: WIDTH, fontPx: FONT_PX });
}
