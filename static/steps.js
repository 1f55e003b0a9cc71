// Buttons on the stage: what can be done next, wherever the picture ends or is missing.

import { $ } from "./dom.js";
import { TEXT } from "./texts.js";

const box = $("steps");
let shown = "";
let actions = {}; // by name of a step

/** Each step is a key of TEXT.steps: {camera(), again(), retry(), sources()}. */
export function bindSteps(callbacks) {
  actions = callbacks;
}

/** names: of the steps to offer, the first one as the most useful. */
export function showSteps(names) {
  if (names.join() === shown) return; // buttons stay the same elements, so that they keep the focus
  shown = names.join();
  const hadFocus = box.contains(document.activeElement);
  box.hidden = !names.length;
  box.replaceChildren(...names.map(newButton));
  if (hadFocus) (box.querySelector("button") ?? $("source")).focus();
}

function newButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.step = name;
  button.textContent = TEXT.steps[name];
  button.addEventListener("click", () => actions[name]());
  return button;
}

/** What can be done in a state; own: whether it is that of this browser's camera. */
export function stepsFor({ source: { state, failing, canRetry } }, own) {
  if (own) return canRetry === undefined ? [] : canRetry ? ["retry", "sources"] : ["sources"];
  if (state === "demo") return ["camera"];
  if (state === "ended") return ["again", "sources"];
  if (state !== "reconnecting" || !failing) return [];
  return failing === "source" ? ["reopen", "sources"] : ["sources"];
}
