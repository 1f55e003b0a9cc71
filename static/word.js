// A question for a word, such as that of a marker or a name.

import { $, setText } from "./dom.js";

/** Ask for a word; null if the user does not want to. word: the present one. */
export function askForWord(title, word = "") {
  const dialog = $("word");
  if (dialog.open) return Promise.resolve(null);
  setText($("word-title"), title);
  $("word-text").value = word;
  dialog.returnValue = "";
  dialog.showModal();
  $("word-text").select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? $("word-text").value : null), { once: true });
  });
}

// In a form, Enter presses its first button, which is the one that saves nothing.
$("word-text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  $("word").close("yes");
});
