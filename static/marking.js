// Markers while something is recorded: what happened, at the moment the key or the button was pressed.

import { $, note } from "./dom.js";
import { editSession, runningSession } from "./running_session.js";
import { TEXT } from "./texts.js";
import { askForWord } from "./word.js";

/** Set a marker now, then ask for its word. */
export async function mark() {
  if (document.body.dataset.only || $("word").open) return undefined;
  if (!runningSession()) return note(TEXT.markNot);
  const made = editSession([{ do: "mark" }]); // at once: the word takes time
  made.catch(() => {}); // reported below
  const word = await askForWord(TEXT.markNow);
  try {
    const { id, made: [marker] } = await made;
    if (word) await editSession([{ do: "mark", id: marker, text: word }], id);
    note(TEXT.marked);
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
  return undefined;
}

/** Change the word of a marker. */
export async function changeMarker({ id, t, text }) {
  const { id: session } = runningSession();
  const word = await askForWord(TEXT.replay.markAt(t), text);
  if (word !== null) await change([{ do: "mark", id, text: word }], session);
}

/** Make edits that a button asks for. */
export async function change(edits, session) {
  if (!edits.length) return;
  try {
    await editSession(edits, session);
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}
