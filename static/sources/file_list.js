// The files of the program that may be chosen: a filter, and thumbnails of those that are in view.

import { $, cloneOf, pause, setText } from "../dom.js";
import { TEXT } from "../texts.js";

const MIN_FILTERED = 9; // fewer files are seen at a glance
const MAX_AT_ONCE = 2; // requests: browsers open six connections to a server, and the picture has one of them
const BUSY_RETRY_MS = 1000;

const list = $("file-list");
const filter = $("file-filter");

/** The list keeps its entries, and their thumbnails, as long as the files are the same. */
export class FileList {
  #names = [];
  #isPrivate = null;
  #choose = null;
  #wanted = new Set(); // buttons in view whose thumbnail is missing
  #loading = 0;
  #isOpen = false;
  #observer = new IntersectionObserver((entries) => this.#see(entries), { scrollMargin: "120px" });

  constructor() {
    filter.addEventListener("input", () => this.#filter());
    list.addEventListener("keydown", (event) => this.#move(event));
    list.addEventListener("focusin", ({ target }) => this.#setTabStop(target));
  }

  /** current: name of the open file. choose(source, name): called with the one that the user chooses. */
  show(names, { current, isPrivate, choose }) {
    this.#choose = choose;
    this.#isOpen = true;
    if (names.join("\n") !== this.#names.join("\n") || isPrivate !== this.#isPrivate) this.#fill(names, isPrivate);
    $("source-files").hidden = !names.length;
    $("file-filter-row").hidden = names.length < MIN_FILTERED;
    for (const button of list.querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
    const open = this.#buttons().find(({ dataset }) => dataset.file === current);
    open?.setAttribute("aria-current", "true");
    this.#filter();
    this.#setTabStop(open && !open.parentElement.hidden ? open : this.#shown()[0]);
    for (const button of this.#buttons()) if (!button.dataset.done) this.#observer.observe(button);
  }

  /** Request nothing more until the list is shown again. */
  pause() {
    this.#isOpen = false;
    this.#wanted.clear();
    this.#observer.disconnect();
  }

  #buttons = () => [...list.querySelectorAll("button")];
  #shown = () => this.#buttons().filter((button) => !button.parentElement.hidden);

  #fill(names, isPrivate) {
    this.#names = names;
    this.#isPrivate = isPrivate;
    this.#wanted.clear();
    this.#observer.disconnect();
    list.replaceChildren(...names.map((name) => this.#newItem(name)));
  }

  #newItem(name) {
    const item = cloneOf("file-item");
    const button = item.querySelector("button");
    button.dataset.file = name;
    if (this.#isPrivate) button.dataset.done = "private"; // there are none in privacy mode
    setText(button.querySelector("span"), name);
    button.addEventListener("click", () => this.#choose(name, name));
    return item;
  }

  /** Show the files whose names contain all words. */
  #filter() {
    const words = filter.closest("[hidden]") ? [] : plain(filter.value).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const button of this.#buttons()) {
      const name = plain(button.dataset.file);
      const isShown = words.every((word) => name.includes(word));
      button.parentElement.hidden = !isShown;
      count += isShown;
    }
    setText($("file-count"), TEXT.sources.files(count, this.#names.length));
    this.#setTabStop(this.#shown()[0]);
  }

  /** One stop of the tab key for all files: the arrow keys move between them. */
  #setTabStop(button) {
    for (const each of this.#buttons()) each.tabIndex = each === button ? 0 : -1;
  }

  #move(event) {
    const shown = this.#shown();
    const at = shown.indexOf(document.activeElement);
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    shown[Math.min(shown.length - 1, Math.max(0, at + step))].focus();
  }

  // ---- thumbnails

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#wanted.add(target);
      else this.#wanted.delete(target);
    }
    this.#loadNext();
  }

  #loadNext() {
    while (this.#isOpen && this.#loading < MAX_AT_ONCE && this.#wanted.size) {
      const [button] = this.#wanted;
      this.#wanted.delete(button);
      this.#loading += 1;
      this.#load(button).catch(() => {}).finally(() => { // as where the connection breaks within a picture
        this.#loading -= 1;
        this.#loadNext();
      });
    }
  }

  async #load(button) {
    const url = `api/sources/thumbnail?file=${encodeURIComponent(button.dataset.file)}`;
    const answer = await fetch(url, { cache: "no-store" }).catch(() => null);
    if (answer?.status === 429) {
      await pause(BUSY_RETRY_MS);
      if (this.#isOpen) this.#wanted.add(button);
      return;
    }
    if (!answer) return; // asked again when the sheet is opened again
    this.#observer.unobserve(button);
    button.dataset.done = "true";
    if (!answer.ok) return; // the file has no picture, and keeps its sign
    const picture = button.querySelector("img");
    picture.src = URL.createObjectURL(await answer.blob());
    await picture.decode().catch(() => {});
    URL.revokeObjectURL(picture.src);
    if (button.isConnected) picture.hidden = false;
  }
}

/** A text without accents and capitals. */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
