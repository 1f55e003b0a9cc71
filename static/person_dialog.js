// Who a face of the session is that is being recorded: a name, and other faces that are the same person.

import { $, setText } from "./dom.js";
import { change } from "./marking.js";
import { runningSession } from "./running_session.js";
import { TEXT } from "./texts.js";

export const personName = ({ name, face }) => name ?? TEXT.face(face);

/** Ask who a person is. person: one of the session's `persons`. */
export async function askForPerson(person) {
  const running = runningSession();
  const dialog = $("who");
  if (!running?.known || dialog.open) return;
  const others = running.known.persons.filter(({ face }) => face !== person.face);
  setText($("who-title"), TEXT.replay.rename(personName(person)));
  $("who-name").value = person.name ?? "";
  $("who-same").replaceChildren(new Option(TEXT.session.nobodyElse, ""), ...others.map((each) => new Option(personName(each), each.face)));
  $("who-same-row").hidden = others.length === 0;
  $("who-split").checked = false;
  $("who-split-row").hidden = person.faces.length < 2;
  setText($("who-split-text"), TEXT.session.split(person.faces));
  dialog.returnValue = "";
  dialog.showModal();
  $("who-name").select();
  dialog.addEventListener("close", () => dialog.returnValue === "yes" && change(editsFor(person), running.id), { once: true });
}

function editsFor(person) {
  const edits = [];
  const name = $("who-name").value.trim();
  if ($("who-split").checked) edits.push({ do: "split", faces: person.faces });
  if ($("who-same").value) edits.push({ do: "merge", faces: [person.face, Number($("who-same").value)] });
  if (name !== (person.name ?? "")) edits.push({ do: "person", face: person.face, name });
  return edits;
}

// In a form, Enter presses its first button, which is the one that saves nothing.
$("who-name").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  $("who").close("yes");
});
