// Loads the view "Files" when it is needed: its modules and its style sheet are in the folder files.

import { note } from "./dom.js";
import { TEXT } from "./texts.js";

const STORE = "mien.files"; // as in files/view.js

/** page: {isPrivate(), isOpen(), onBack()}, handed to the view. */
export class FilesLink {
  #page;
  #loading = null;

  constructor(page) {
    this.#page = page;
  }

  /** The view, a FilesView. */
  load() {
    this.#loading ??= import("./files/view.js").then(({ FilesView }) => FilesView.open(this.#page));
    this.#loading.catch(() => {
      this.#loading = null; // so that the user can try again
      note(TEXT.files.notLoaded);
    });
    return this.#loading;
  }

  /** Show the view's present state, if there is one; pictures: they may have changed. */
  refresh({ pictures = false } = {}) {
    this.#loading?.then((view) => (pictures ? view.refreshPictures() : view.refresh()));
  }

  /** Load the queue of before the page was reloaded, and call open() if its view was open then. */
  restore(open) {
    let stored;
    try {
      stored = JSON.parse(sessionStorage.getItem(STORE));
    } catch {} // the browser lets this page store nothing
    if (stored?.isOpen) open();
    else if (stored) this.load();
  }
}
