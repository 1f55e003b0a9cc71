// Nothing on the page outlives its source: what is removed or hidden until there is something of the present one.

import { $, setText } from "./dom.js";
import { showFaces } from "./face_cards.js";
import { showHint } from "./header.js";
import { showSteps } from "./steps.js";

/** Hide timeline and session while they are not about what is displayed; reason: shown instead, "" to show them again. */
export function showStale(reason) {
  document.body.classList.toggle("stale", Boolean(reason));
  for (const element of document.querySelectorAll(".stale-reason")) {
    element.hidden = !reason;
    setText(element, reason);
  }
}

/** Remove the faces, and all that is said about them and their source. */
export function showNoData(reason) {
  showFaces([]);
  showHint("");
  showSteps([]);
  showStale(reason);
  document.body.removeAttribute("data-photo");
  $("no-face").hidden = true;
  setText($("truth"), "");
}
