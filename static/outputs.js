// The live outputs of the program with their state, in the footer; nothing if there are none.

import { $, cloneOf, sentence, setText } from "./dom.js";
import { TEXT } from "./texts.js";

const COUNT_MS = 1000; // between two updates of the counts, which change with each frame

let shown = ""; // names, states and errors on display
let counted = 0;

/** outputs: as in a state; undefined in states that say nothing of them, such as those of images. */
export function showOutputs(outputs) {
  if (!outputs) return;
  const now = performance.now();
  const next = JSON.stringify(outputs.map(({ name, state, error }) => [name, state, error]));
  if (next === shown && now - counted < COUNT_MS) return;
  shown = next;
  counted = now;
  const list = $("outputs");
  $("outputs-line").hidden = outputs.length === 0;
  while (list.children.length > outputs.length) list.lastElementChild.remove();
  while (list.children.length < outputs.length) list.append(cloneOf("output-item"));
  outputs.forEach((output, i) => fill(list.children[i], output));
}

function fill(item, { name, state, error, sent, dropped }) {
  item.dataset.state = state;
  item.title = sentence(error ?? "");
  setText(item.querySelector(".output-name"), name);
  setText(item.querySelector(".output-state"), TEXT.outputs.states[state] ?? state);
  setText(item.querySelector(".output-counts"), TEXT.outputs.counts(sent, dropped));
}
