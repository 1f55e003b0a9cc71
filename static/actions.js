// What the user can do in this browser alone: pause, save the picture, and the sheet of keys.

const TEXT = {
  paused: "PAUSED",
  pause: "Pause (p)",
  resume: "Go on (p)",
  notPaused: "There is no picture to hold at this moment.",
  saved: (name) => `Saved as ${name}`,
  notSaved: "There is no picture to save at this moment.",
};

const NOTE_MS = 3000;

const $ = (id) => document.getElementById(id);

export const actions = { paused: false };

/** Keep the picture that is shown on a canvas, as the stream itself is given up; false without a picture. */
function keepStill() {
  const picture = $("picture");
  const still = $("still");
  if (picture.hidden || !picture.naturalWidth) return false;
  still.width = picture.naturalWidth;
  still.height = picture.naturalHeight;
  still.getContext("2d").drawImage(picture, 0, 0);
  still.hidden = false;
  picture.hidden = true;
  return true;
}

function togglePause(onChange) {
  if (!actions.paused && !keepStill()) return note(TEXT.notPaused);
  actions.paused = !actions.paused;
  const button = $("pause");
  button.setAttribute("aria-pressed", String(actions.paused));
  button.title = actions.paused ? TEXT.resume : TEXT.pause;
  if (actions.paused) {
    $("status").textContent = TEXT.paused;
    $("status").dataset.state = "paused";
  }
  return onChange();
}

/** The picture as it is seen: the one that is paused, or the newest. */
async function pictureFile() {
  if (actions.paused && !$("still").hidden) {
    return new Promise((resolve) => $("still").toBlob(resolve, "image/png"));
  }
  try {
    const answer = await fetch("/api/snapshot.png", { cache: "no-store" });
    return answer.ok ? await answer.blob() : null;
  } catch {
    return null;
  }
}

async function save() {
  const file = await pictureFile();
  if (!file) return note(TEXT.notSaved);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `mien-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), NOTE_MS);
  return note(TEXT.saved(link.download));
}

let noteTimer = 0;

function note(text) {
  $("note").textContent = text;
  $("note").hidden = false;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => ($("note").hidden = true), NOTE_MS);
}

function toggleHelp() {
  const help = $("help");
  if (help.open) help.close();
  else help.showModal();
}

/** Buttons and keys; onPause is called after each change of `actions.paused`. */
export function bindActions(onPause) {
  const keys = { p: () => togglePause(onPause), s: save, "?": toggleHelp };
  keys[" "] = keys.p;
  $("pause").addEventListener("click", keys.p);
  $("save").addEventListener("click", keys.s);
  $("keys").addEventListener("click", toggleHelp);
  $("help-close").addEventListener("click", toggleHelp);
  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : "";
    if (!keys[key] || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    if (key === " " && event.target.closest("button, a, [tabindex]")) return; // there the space bar has its own use
    if ($("help").open && key !== "?") return;
    event.preventDefault();
    keys[key]();
  });
}
