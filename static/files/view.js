// The view "Files": the queue, its results, and what is kept over a reload of the page.

import { $, cloneOf, loadStyle, nameControl, note, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { findMedia } from "./folders.js";
import { FileQueue } from "./queue.js";
import { QueueList } from "./queue_list.js";
import { ResultTable } from "./results.js";
import { TimeLeft } from "./time_left.js";

const SHOW_MS = 250; // between two updates
const STORE = "mien.files"; // in sessionStorage; files_link.js reads it too
const STYLE = new URL("files.css", import.meta.url).href;
const WORDS = TEXT.files;

/** page: {isPrivate(), isOpen(), onBack()}. Created once, by open(). */
export class FilesView {
  #page;
  #queue;
  #list;
  #table;
  #timeLeft = new TimeLeft();
  #timer = 0;
  #shownAt = 0;
  #wasBusy = false;
  #isMissed = false;
  #stored = "";

  /** Load the style sheet, build the view, and find the jobs of an earlier load of the page. */
  static async open(page) {
    await loadStyle(STYLE);
    const view = new FilesView(page);
    await view.#restore();
    return view;
  }

  constructor(page) {
    this.#page = page;
    document.querySelector(".layout").after(cloneOf("files-template"));
    const stored = readStore();
    this.group = stored.group ?? newGroup();
    this.#queue = new FileQueue(this.group, { change: () => this.#plan(), error: (text) => note(TEXT.notDone(text)) });
    this.#list = new QueueList(this.#queue);
    this.#table = new ResultTable(this.#queue, page);
    $("results-csv").href = `api/jobs/faces.csv?group=${this.group}`;
    $("files-add").addEventListener("click", () => $("files").click());
    $("files-folder").addEventListener("click", () => $("folder").click());
    $("files-back").addEventListener("click", page.onBack);
    $("results-clear").addEventListener("click", () => confirm(WORDS.clearAsk) && this.#queue.removeResults());
    if (stored.unsent?.length) this.#say(WORDS.unsentLost(stored.unsent));
    addEventListener("beforeunload", (event) => {
      if (!this.#queue.unsent.length) return;
      event.preventDefault(); // the browser asks whether to leave
      event.returnValue = true; // in older browsers
    });
    this.#show();
  }

  /** Queue what was dropped or chosen; items: as bindDrops hands them over. */
  async add(items) {
    if (items.length) {
      setText($("files-summary"), WORDS.reading);
      const { media, others } = await findMedia(items);
      if (others.length) this.#say(WORDS.leftOut(others));
      else if (!media.length) note(TEXT.images.none);
      this.#queue.add(media);
    }
    this.#show();
  }

  /** Show the present state at once, as when another view was opened. */
  refresh() {
    this.#show();
  }

  /** In privacy mode the program removes the pictures. */
  refreshPictures() {
    this.#show();
    this.#queue.restore().catch(() => {});
  }

  async #restore() {
    await this.#queue.restore().catch((error) => error.status === undefined && this.#say(TEXT.noAnswer));
  }

  /** Show changes soon, and not more often than can be seen. */
  #plan() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => this.#show(), Math.max(0, SHOW_MS - (performance.now() - this.#shownAt)));
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#shownAt = performance.now();
    const { entries } = this.#queue;
    const done = entries.filter(({ isFinished }) => isFinished).length;
    this.#showHeader(done, entries);
    this.#store();
    if (!this.#page.isOpen()) return;
    this.#list.show();
    this.#table.show();
    const isOver = entries.some(({ job }) => job?.state === "done" && !job.gone);
    $("results-csv").hidden = !isOver;
    $("results-clear").hidden = !done;
  }

  /** The summary of the view, and the badge in the header of others. */
  #showHeader(done, entries) {
    const open = entries.filter((entry) => !entry.isFinished && entry.state !== "lost");
    const isPaused = open.length > 0 && open.every((entry) => this.#queue.isPaused(entry));
    const left = this.#timeLeft.update(entries.filter(({ state }) => state !== "lost"), isPaused);
    const what = isPaused ? WORDS.isPaused : left === null ? "" : WORDS.mayTake(left);
    setText($("files-summary"), WORDS.summary(done, entries.length) + what);
    document.title = open.length ? WORDS.title(done, entries.length) : "Mien";
    const share = entries.reduce((sum, { shares }) => sum + shares.analyzed, 0) / Math.max(1, entries.length);
    $("files-bar").style.transform = `translateX(${(100 * share - 100).toFixed(1)}%)`;
    const isElsewhere = !this.#page.isOpen();
    $("files-badge").hidden = $("own-queue").hidden = !entries.length || !isElsewhere;
    setText($("files-badge"), WORDS.badge(done, entries.length));
    if (!isElsewhere) setText($("source-name"), entries.length ? WORDS.count(done, entries.length) : "");
    this.#announceEnd(open.length > 0, done);
    this.#sayLost(entries);
  }

  #announceEnd(isBusy, done) {
    if (this.#wasBusy && !isBusy && done) $("announcement").textContent = WORDS.finished(done);
    this.#wasBusy = isBusy;
  }

  #sayLost(entries) {
    const isMissed = entries.some(({ job }) => job?.gone && job.state === "done");
    if (isMissed && !this.#isMissed) this.#say(WORDS.resultsGone);
    this.#isMissed = isMissed;
    if (!this.#page.isOpen()) return;
    const isLost = this.#queue.lost || entries.some(({ linkLost }) => linkLost);
    $("banner").hidden = !isLost;
    setText($("banner"), isLost ? WORDS.linkLost : "");
  }

  #store() {
    const { unsent } = this.#queue;
    const isOpen = this.#page.isOpen();
    const now = `${unsent.length} ${isOpen}`; // names change only with their number
    if (now !== this.#stored) writeStore({ group: this.group, unsent, isOpen });
    this.#stored = now;
  }

  /** A line above the queue that stays until the user closes it. */
  #say(text) {
    const line = document.createElement("li");
    const words = Object.assign(document.createElement("span"), { textContent: text });
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
    nameControl(close, WORDS.close);
    close.addEventListener("click", () => line.remove());
    line.append(words, close);
    $("files-notes").append(line);
    $("announcement").textContent = text;
  }
}

/** A group key: the secret of this browser tab. */
function newGroup() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function readStore() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}

/** Without storage, as in some private windows, a reload loses the queue. */
function writeStore(value) {
  try {
    sessionStorage.setItem(STORE, JSON.stringify(value));
  } catch {}
}
