// The queue on the page: one row for each file that is not finished, with its state in words, pause and cancel.

import { $, cloneOf, nameControl, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { PagedList } from "./pager.js";
import { splitName } from "./rows.js";

const PAGE = 50;
const WORDS = TEXT.files;

/** The list of unfinished files of a FileQueue. */
export class QueueList {
  #queue;
  #rows;

  constructor(queue) {
    this.#queue = queue;
    this.#rows = new PagedList({
      list: $("queue-rows"),
      buttons: $("queue-pages"),
      size: PAGE,
      keyOf: ({ key }) => key,
      create: (entry) => this.#create(entry),
      fill: (row, entry) => this.#fill(row, entry),
    });
    $("queue-pause").addEventListener("click", () => (this.#isAllPaused ? queue.resumeAll() : queue.pauseAll()));
    $("queue-cancel").addEventListener("click", () => queue.cancelAll());
  }

  get #open() {
    return this.#queue.entries.filter(({ isFinished }) => !isFinished);
  }

  get #isAllPaused() {
    const open = this.#open.filter(({ state }) => state !== "lost");
    return open.length > 0 && open.every((entry) => this.#queue.isPaused(entry));
  }

  show() {
    const open = this.#open;
    this.#rows.show(open);
    $("queue-none").hidden = open.length > 0;
    setText($("queue-none"), this.#queue.entries.length ? WORDS.queueDone : WORDS.queueEmpty);
    setText($("queue-count"), open.length ? String(open.length) : "");
    for (const id of ["queue-pause", "queue-cancel"]) $(id).hidden = !open.length;
    setText($("queue-pause"), this.#isAllPaused ? WORDS.resumeAll : WORDS.pauseAll);
  }

  #create(entry) {
    const row = cloneOf("queue-row");
    const [folder, name] = splitName(entry.name);
    setText(row.querySelector(".file-name"), name);
    setText(row.querySelector(".file-detail"), folder);
    row.querySelector(".job-name").title = entry.name;
    nameControl(row.querySelector(".job-cancel"), WORDS.cancel(entry.name));
    row.querySelector(".job-cancel").addEventListener("click", () => this.#queue.cancel(entry));
    row.querySelector(".job-pause").addEventListener("click", () => {
      if (this.#queue.isPaused(entry)) this.#queue.resume(entry);
      else this.#queue.pause(entry);
    });
    return row;
  }

  #fill(row, entry) {
    const isPaused = this.#queue.isPaused(entry);
    const pause = row.querySelector(".job-pause");
    pause.hidden = entry.state === "lost";
    if (pause.getAttribute("aria-pressed") !== String(isPaused)) {
      pause.setAttribute("aria-pressed", String(isPaused));
      nameControl(pause, isPaused ? WORDS.resume(entry.name) : WORDS.pause(entry.name));
    }
    row.dataset.state = isPaused ? "paused" : entry.state;
    row.querySelector(".fill").style.transform = `translateX(${(100 * entry.progress - 100).toFixed(1)}%)`;
    setText(row.querySelector(".job-state"), stateOf(entry, isPaused));
  }
}

/** Such as "analyzing 41 % · 12 s left · 233 frames/s". */
function stateOf(entry, isPaused) {
  const { state, progress } = entry;
  if (entry.linkLost) return WORDS.states.linkLost;
  if (state === "lost") return WORDS.states.lost;
  if (state === "unsent" && entry.waitsFor && !isPaused) return WORDS.states[entry.waitsFor];
  const share = progress > 0 || state === "analyzing" ? ` ${TEXT.percent(progress)}` : "";
  const parts = [`${isPaused ? WORDS.states.paused : WORDS.states[state]}${share}`];
  if (state === "sending" && entry.sent) parts.push(WORDS.sent(entry.sent, entry.bytes));
  if (isPaused || !["sending", "analyzing"].includes(state)) return parts[0];
  if (entry.secondsLeft != null) parts.push(WORDS.left(entry.secondsLeft));
  if (entry.job?.frames_per_second) parts.push(WORDS.rate(entry.job.frames_per_second));
  return parts.join(" · ");
}
