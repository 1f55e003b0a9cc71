// The page of recorded sessions: what each is called, who was seen for how long, and what can be done with it.

import { ask } from "../ask.js";
import { $, cloneOf, fillTexts, note, setText } from "../dom.js";
import { bindLanguage } from "../language.js";
import { fetchJson } from "../server.js";
import { TEXT } from "../texts.js";
import { fillShares, newShares } from "../shares.js";

const POLL_MS = 2000;

const items = new Map(); // id -> element, whose `session` is what was last known
let version = null;
let isLost = false;

const pathOf = (id) => `api/sessions/${id}`;

const nameOf = ({ name, began }) => name ?? TEXT.sessions.date(began);

async function load() {
  const { sessions } = await fetchJson("api/sessions");
  const ids = new Set(sessions.map(({ id }) => id));
  for (const [id, item] of items) if (!ids.has(id)) remove(id, item);
  sessions.forEach((session, i) => {
    const item = items.get(session.id) ?? newItem(session.id);
    if ($("sessions").children[i] !== item) $("sessions").insertBefore(item, $("sessions").children[i] ?? null);
    fill(item, session);
  });
  $("sessions").removeAttribute("aria-busy");
  $("none").hidden = sessions.length > 0;
  setText($("count"), sessions.length ? TEXT.sessions.count(sessions.length) : "");
}

/** Load what has changed; sessions that are being recorded change all the time. */
async function update() {
  if (document.hidden) return;
  try {
    const { sessions_version: sessions, privacy } = await fetchJson("api/controls"); // lets the source become idle
    const newest = `${sessions} ${privacy}`; // in privacy mode, not all videos are shown
    const isRunning = [...items.values()].some(({ session }) => session.recording);
    if (newest !== version || isRunning || isLost) await load();
    version = newest;
    isLost = false;
  } catch (error) {
    isLost = true;
    setText($("banner"), error.status ? error.message : TEXT.lost);
  }
  $("banner").hidden = !isLost;
}

function newItem(id) {
  const item = cloneOf("session");
  items.set(id, item);
  newShares(item.querySelector(".strip-bar"), item.querySelector(".shares"));
  for (const link of item.querySelectorAll("[data-file]")) {
    const { file } = link.dataset;
    link.href = file === "open" ? `sessions/${id}` : `${pathOf(id)}/${file}`;
  }
  item.querySelector(".recorded-name").href = `sessions/${id}`;
  item.querySelector(".recorded-rename").addEventListener("click", () => editName(item, true));
  item.querySelector(".recorded-keep").addEventListener("click", () => editName(item, false));
  item.querySelector(".recorded-form").addEventListener("keydown", ({ key }) => key === "Escape" && editName(item, false));
  item.querySelector(".recorded-form").addEventListener("submit", (event) => {
    event.preventDefault();
    rename(item);
  });
  item.querySelector(".recorded-delete").addEventListener("click", () => drop(item));
  return item;
}

function fill(item, session) {
  item.session = session;
  setText(item.querySelector(".recorded-name"), nameOf(session));
  setText(item.querySelector(".recorded-facts"), TEXT.sessions.facts(session));
  item.querySelector(".recorded-badge").hidden = !session.recording;
  item.querySelector(".recorded-delete").disabled = session.recording;
  item.querySelector("[data-file='video.mp4']").hidden = !session.has_video;
  fillShares(item.querySelector(".strip-bar"), item.querySelector(".shares"), session.shares);
  for (const control of item.querySelectorAll(".recorded-tools :is(a, button)")) {
    control.setAttribute("aria-label", `${control.textContent}: ${nameOf(session)}`);
  }
}

function remove(id, item) {
  const hadFocus = item.contains(document.activeElement);
  const next = item.nextElementSibling ?? item.previousElementSibling;
  items.delete(id);
  item.remove();
  if (hadFocus) (next?.querySelector(".recorded-name") ?? document.querySelector("h1 a")).focus();
}

function editName(item, on) {
  const form = item.querySelector(".recorded-form");
  form.hidden = !on;
  item.querySelector(".recorded-head").hidden = on;
  if (!on) return item.querySelector(".recorded-rename").focus();
  const input = form.querySelector("input");
  input.value = item.session.name ?? "";
  input.placeholder = nameOf({ ...item.session, name: null });
  input.focus();
  return input.select();
}

async function rename(item) {
  const { id } = item.session;
  try {
    fill(item, await fetchJson(pathOf(id), {
      method: "PATCH",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: item.querySelector("input").value }),
    }));
    editName(item, false);
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

async function drop(item) {
  const { id } = item.session;
  if (!(await ask(TEXT.sessions.deletion(nameOf(item.session), item.session.bytes)))) return;
  try {
    await fetchJson(pathOf(id), { method: "DELETE" });
    note(TEXT.sessions.deleted(nameOf(item.session)));
    await load();
  } catch (error) {
    note(TEXT.notDone(error.message));
  }
}

fillTexts();
bindLanguage();
if (new URLSearchParams(location.search).has("token")) window.history.replaceState(null, "", location.pathname);
setInterval(update, POLL_MS);
document.addEventListener("visibilitychange", update);
update();
