// Grad-CAM over the faces of the live picture: asked for a few times a second while it is on.

import { drawOverlay, look } from "./canvas.js";
import { note } from "./dom.js";
import { ask } from "./server.js";
import { TEXT } from "./texts.js";

const ASK_MS = 300; // the program computes at most about four a second
const TROUBLE_MS = 2000;

let run = 0;

/** Ask again and again until `stopHeat`; isWanted(): whether somebody looks at this moment. */
export async function startHeat(isWanted) {
  const mine = ++run;
  let told = "";
  while (mine === run) {
    let wait = ASK_MS;
    if (isWanted()) {
      try {
        const heats = await pictures(await ask("/api/explain"));
        if (mine !== run) return;
        look.heats = heats;
        drawOverlay();
        told = "";
      } catch (error) {
        wait = TROUBLE_MS;
        look.heats = new Map();
        if (mine === run && error.message !== told) note(TEXT.heatNone(error.message));
        told = error.message;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export function stopHeat() {
  run += 1;
  look.heats = new Map();
  drawOverlay();
}

/** Face id -> picture. The Content-Security-Policy lets no data: address through, so the bytes are decoded here. */
async function pictures({ faces }) {
  const entries = faces.map(async ({ id, heat }) => {
    const bytes = Uint8Array.from(atob(heat), (char) => char.charCodeAt(0));
    return [id, await createImageBitmap(new Blob([bytes], { type: "image/png" }))];
  });
  return new Map(await Promise.all(entries));
}
