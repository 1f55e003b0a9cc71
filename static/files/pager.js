// Shows one page of a long list, so that the browser never lays out a thousand rows.

import { setText } from "../dom.js";
import { TEXT } from "../texts.js";

/**
 * A list of which one page is in the document. Elements of rows that stay are kept, with the focus in them.
 *
 * list: the element of the rows. buttons: the element for the buttons. size: rows of a page. keyOf(row): its identity.
 * create(row): a new element. fill(element, row): called whenever the rows are shown.
 */
export class PagedList {
  #elements = new Map(); // key -> element of the page
  #rows = [];
  #first = 0;

  constructor({ list, buttons, size, keyOf, create, fill }) {
    Object.assign(this, { list, buttons, size, keyOf, create, fill });
    this.back = this.#button(TEXT.files.previous, -size);
    this.position = document.createElement("span");
    this.next = this.#button(TEXT.files.next, size);
    buttons.append(this.back, this.position, this.next);
  }

  show(rows) {
    this.#rows = rows;
    const lastPage = Math.max(0, Math.ceil(rows.length / this.size) - 1);
    this.#first = Math.min(this.#first, lastPage * this.size);
    const page = rows.slice(this.#first, this.#first + this.size);
    this.#place(page);
    this.buttons.hidden = rows.length <= this.size;
    this.back.disabled = this.#first === 0;
    this.next.disabled = this.#first + this.size >= rows.length;
    setText(this.position, TEXT.files.page(this.#first + 1, this.#first + page.length, rows.length));
  }

  /** Return to the first page, as for another order. */
  rewind() {
    this.#first = 0;
    this.#scroller.scrollTop = 0;
  }

  get #scroller() {
    return this.list.closest(".scroll");
  }

  #button(text, step) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => {
      this.#first = Math.max(0, this.#first + step);
      this.#scroller.scrollTop = 0;
      this.show(this.#rows);
    });
    return button;
  }

  #place(page) {
    const hadFocus = this.list.contains(document.activeElement);
    const old = this.#elements;
    this.#elements = new Map();
    page.forEach((row, i) => {
      const key = this.keyOf(row);
      const element = old.get(key) ?? this.create(row);
      old.delete(key);
      this.#elements.set(key, element);
      this.fill(element, row);
      if (this.list.children[i] !== element) this.list.insertBefore(element, this.list.children[i] ?? null);
    });
    for (const element of old.values()) element.remove();
    if (hadFocus && !this.list.contains(document.activeElement)) this.#scroller.focus(); // its row is finished
  }
}
