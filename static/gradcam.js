// Grad-CAM heat maps over the faces of the live picture, requested a few times per second while switched on.

import { display, drawOverlay } from "./canvas.js";
import { $, note, setText } from "./dom.js";
import { numberOf } from "./photo.js";
import { fetchJson } from "./server.js";
import { TEXT } from "./texts.js";

const INTERVAL_MS = 300; // the program computes at most about four per second
const ERROR_RETRY_MS = 2000; // shorter than a note is shown

let run = 0;

/** Request heat maps until `stopHeat`; isWanted() tells whether they are visible now. */
export async function startHeat(isWanted) {
  const ownRun = ++run;
  let lastError = "";
  showLegend({ busy: true });
  while (ownRun === run) {
    let wait = INTERVAL_MS;
    if (isWanted()) {
      try {
        const heats = await decodeHeats(await fetchJson("api/explain"));
        if (ownRun !== run) return;
        display.heats = heats;
        drawOverlay();
        showLegend({ busy: false });
        lastError = "";
      } catch (error) {
        wait = ERROR_RETRY_MS;
        display.heats = new Map();
        if (ownRun === run) showLegend({ busy: true, hidden: !error.again });
        // While Keras is being loaded, which takes seconds, the note stays.
        if (ownRun === run && (error.again || error.message !== lastError)) note(TEXT.heatNone(error.message));
        lastError = error.message;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export function stopHeat() {
  run += 1;
  display.heats = new Map();
  $("heat-legend").hidden = true;
  $("heat").removeAttribute("aria-busy");
  drawOverlay();
}

/** What the colors mean, or that the first heat maps are being computed, which takes seconds. */
function showLegend({ busy, hidden = false }) {
  $("heat-legend").hidden = hidden;
  $("heat-legend").classList.toggle("busy", busy);
  $("heat").setAttribute("aria-busy", String(busy && !hidden));
  setText($("heat-busy"), busy ? TEXT.heatBusy : "");
}

/** Face id -> picture. The Content-Security-Policy forbids data: URLs, so the bytes are decoded here. */
async function decodeHeats({ faces }) {
  const entries = faces.map(async ({ id, heat }) => {
    const bytes = Uint8Array.from(atob(heat), (char) => char.charCodeAt(0));
    return [numberOf(id), await createImageBitmap(new Blob([bytes], { type: "image/png" }))];
  });
  return new Map(await Promise.all(entries));
}
