// A question that has to be answered before something is done that affects others.

import { $ } from "./dom.js";

let answer = null; // resolves the question that is open

/**
 * Ask, and wait for the answer: true for yes; false for no, Escape, or if another question is open.
 * title, yes, no: texts of heading and buttons. text: paragraphs.
 */
export function ask({ title, text, yes, no }) {
  if (answer) return Promise.resolve(false);
  $("ask-title").textContent = title;
  $("ask-text").replaceChildren(...text.map((paragraph) => Object.assign(document.createElement("p"), { textContent: paragraph })));
  $("ask-yes").textContent = yes;
  $("ask-no").textContent = no;
  $("ask").returnValue = "";
  $("ask").showModal();
  return new Promise((resolve) => (answer = resolve));
}

for (const choice of ["yes", "no"]) $(`ask-${choice}`).addEventListener("click", () => $("ask").close(choice));
$("ask").addEventListener("close", () => {
  const resolve = answer;
  answer = null;
  resolve?.($("ask").returnValue === "yes");
});
