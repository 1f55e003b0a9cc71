// The table of results, which can be sorted and filtered.

import { EXPRESSIONS } from "../colors.js";
import { $, cloneOf, sentence, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { PagedList } from "./pager.js";
import { KINDS, RowOrder, rowsOf, splitName } from "./rows.js";

const PAGE = 100;
const SORTABLE = ["name", "face", "expression", "confidence", "seen", "quality"];
const DOWN_FIRST = ["confidence", "seen", "quality"]; // the largest first
const WORDS = TEXT.files;
const PARTS = [...EXPRESSIONS, "unsure"];

/** The finished files of a FileQueue. isPrivate(): whether pictures must not be shown. */
export class ResultTable {
  #queue;
  #isPrivate;
  #pages;
  #rows = new RowOrder();
  #order = { by: "name", isDown: false };
  #kinds = new Set(); // of the rows to show; none: all

  constructor(queue, { isPrivate }) {
    this.#queue = queue;
    this.#isPrivate = isPrivate;
    $("results-columns").append(...Object.entries(WORDS.columns).map(([name, text]) => this.#newColumn(name, text)));
    $("results-filter").append(...KINDS.map((kind) => this.#newFilter(kind)));
    this.#pages = new PagedList({
      list: $("results-rows"),
      buttons: $("results-pages"),
      size: PAGE,
      keyOf: ({ key }) => key,
      create: () => cloneOf("result-row"),
      fill: (element, row) => this.#fill(element, row),
    });
  }

  show() {
    const { entries } = this.#queue;
    const all = entries.flatMap(rowsOf);
    const rows = this.#kinds.size ? all.filter(({ kind }) => this.#kinds.has(kind)) : all;
    this.#pages.show(this.#rows.sort(rows, entries, this.#order));
    $("results").hidden = !all.length;
    $("results-none").hidden = all.length > 0;
    setText($("results-count"), all.length ? countOf(rows.length, all.length) : "");
    $("results-filter").hidden = !all.length;
    this.#showFilters(all);
  }

  // ---- filter and order

  #newFilter(kind) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.expression = kind;
    button.setAttribute("aria-pressed", "false");
    button.append(...["key", "name", "value"].map((name) => Object.assign(document.createElement("span"), { className: name })));
    setText(button.querySelector(".name"), WORDS.kinds[kind] ?? TEXT.expression(kind));
    button.addEventListener("click", () => {
      if (!this.#kinds.delete(kind)) this.#kinds.add(kind);
      button.setAttribute("aria-pressed", String(this.#kinds.has(kind)));
      this.#pages.rewind();
      this.show();
    });
    return button;
  }

  #showFilters(rows) {
    const counts = new Map(KINDS.map((kind) => [kind, 0]));
    for (const { kind } of rows) counts.set(kind, counts.get(kind) + 1);
    for (const button of $("results-filter").children) {
      setText(button.querySelector(".value"), String(counts.get(button.dataset.expression)));
    }
  }

  #newColumn(name, text) {
    const column = document.createElement("th");
    column.scope = "col";
    column.setAttribute("role", "columnheader");
    column.className = `cell-${name}`;
    if (!SORTABLE.includes(name)) {
      const label = document.createElement("span");
      label.className = name === "shares" ? "" : "unseen";
      label.textContent = text;
      column.append(label);
      return column;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => this.#sort(name));
    column.append(button);
    column.setAttribute("aria-sort", name === this.#order.by ? "ascending" : "none");
    return column;
  }

  #sort(by) {
    const isDown = this.#order.by === by ? !this.#order.isDown : DOWN_FIRST.includes(by);
    this.#order = { by, isDown };
    SORTABLE.forEach((name) => {
      const sorted = isDown ? "descending" : "ascending";
      $("results-columns").querySelector(`.cell-${name}`).setAttribute("aria-sort", name === by ? sorted : "none");
    });
    this.#pages.rewind();
    this.show();
  }

  // ---- one row

  #fill(element, row) {
    const { entry, face } = row;
    const isShown = face?.thumbnail && !this.#isPrivate() && !entry.job.gone;
    const picture = isShown ? `api/jobs/${entry.job.id}/thumbnails/${face.id}` : null;
    fillPicture(element.querySelector(".cell-picture"), picture);
    if (element.row === row && element.gone === entry.job?.gone) return; // only privacy mode changes it
    Object.assign(element, { row, gone: entry.job?.gone });
    element.dataset.kind = row.kind;
    fillFile(element.querySelector(".cell-file"), row);
    setText(element.querySelector(".cell-face"), face ? TEXT.face(face.id) : "");
    fillExpression(element.querySelector(".cell-expression"), row);
    fillFigures(element, row);
    fillShares(element.querySelector(".cell-shares"), face);
    this.#fillLinks(element.querySelector(".cell-links"), row);
  }

  #fillLinks(cell, { entry, kind }) {
    cell.replaceChildren();
    if (kind === "failed" && entry.file) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: WORDS.retry });
      button.setAttribute("aria-label", WORDS.retryOf(entry.name));
      button.addEventListener("click", () => this.#queue.retry(entry));
      cell.append(button);
    } else if (entry.job?.kind === "video" && entry.state === "done" && !entry.job.gone) {
      const link = Object.assign(document.createElement("a"), { textContent: WORDS.report, target: "_blank" });
      link.href = `api/jobs/${entry.job.id}/report.html`;
      link.setAttribute("aria-label", WORDS.reportOf(entry.name));
      cell.append(link);
    }
  }
}

const countOf = (shown, all) => (shown === all ? WORDS.rows(all) : WORDS.count(shown, all));

function fillPicture(cell, address) {
  const shown = cell.querySelector("img");
  if ((shown?.getAttribute("src") ?? null) === address) return;
  cell.replaceChildren();
  if (address === null) return;
  const picture = Object.assign(document.createElement("img"), { loading: "lazy", decoding: "async", alt: "" });
  picture.width = picture.height = 48;
  picture.addEventListener("error", () => picture.remove()); // as in privacy mode that another viewer turned on
  picture.src = address;
  cell.append(picture);
}

/** The name, and below it the reason of a failure, or folder and length. */
function fillFile(cell, { entry: { name, job }, reason }) {
  const [folder, base] = splitName(name);
  setText(cell.querySelector(".file-name"), base);
  const { duration_s: length = null } = job?.result ?? {};
  const details = reason ? [sentence(reason)] : [folder, length === null ? "" : TEXT.minutes(length)];
  setText(cell.querySelector(".file-detail"), details.filter(Boolean).join(" · "));
  cell.title = name;
}

function fillExpression(cell, { kind, face }) {
  cell.dataset.expression = kind;
  cell.classList.toggle("unsure", kind === "unsure");
  const text = face ? TEXT.labelOf(face.label, kind === "unsure") : WORDS.kinds[kind];
  setText(cell.querySelector(".label"), text);
}

function fillFigures(element, { face, values: { confidence, seen, quality } }) {
  const share = face?.seconds ? WORDS.ofTime : TEXT.percent;
  setText(element.querySelector(".cell-confidence"), confidence === null ? "" : share(confidence));
  setText(element.querySelector(".cell-seen"), seen === null ? "" : TEXT.minutes(seen));
  setText(element.querySelector(".cell-quality"), quality === null ? "" : TEXT.percent(quality));
}

/** A strip: of the time in a video, of the probabilities in an image. */
function fillShares(cell, face) {
  const strip = cell.querySelector(".strip-bar");
  strip.hidden = !face;
  const parts = face?.seconds ?? face?.probabilities ?? {};
  const total = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const shares = PARTS.map((name) => [name, total ? (parts[name] ?? 0) / total : 0]).filter(([, share]) => share > 0);
  cell.title = shares.filter(([, share]) => share >= 0.005).map(([name, share]) => TEXT.shareOf(TEXT.expression(name), share)).join(", ");
  strip.replaceChildren(...shares.map(([name, share]) => {
    const piece = document.createElement("span");
    piece.dataset.expression = name;
    piece.style.flexGrow = String(share);
    return piece;
  }));
}
