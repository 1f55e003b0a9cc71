// The last minute of one face: seven lines, a legend that toggles them, and the values at the cursor.

import { DASHES, EXPRESSIONS, onThemeChange, theme } from "./colors.js";
import { $, clearedContext, cloneOf, setText, textScale } from "./dom.js";
import { BIN_S, SPAN_S } from "./history.js";
import { drawNames, nameWidth } from "./line_names.js";
import { TEXT } from "./texts.js";

const DRAW_MS = 100;
const AWAY_S = 1.5; // after which a face that was not chosen by the user is replaced by another
const PAD = { left: 40, right: 8, top: 8, bottom: 24 }; // for texts of the usual size
const SIZE = 13;

const canvas = $("lines");

/**
 * Displays a History; `face` is the id of the displayed face, null without one. recentMarkers: returns [{at, text}], at: in
 * seconds, as in the history.
 */
export class Timeline {
  constructor(history, recentMarkers) {
    this.history = history;
    this.recentMarkers = recentMarkers;
    this.face = null;
    this.chosen = false; // by the user
    this.hidden = new Set();
    this.cursor = null; // seconds before the newest entry
    this.drawnAt = 0;
    this.pad = PAD; // around the lines, with room for names on the right
    this.#bindLegend();
    this.#bindCursor();
    this.#describe();
    onThemeChange(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear() {
    Object.assign(this, { face: null, chosen: false });
    this.draw();
  }

  choose(id) {
    Object.assign(this, { face: id, chosen: true });
    this.draw();
  }

  /** Redraw after new entries, at most ten times per second. */
  update(faces) {
    this.#selectFace(faces);
    const now = performance.now();
    if (now - this.drawnAt >= DRAW_MS) this.draw(now);
  }

  #selectFace(faces) {
    const known = this.history.faces.get(this.face);
    const away = known ? this.history.now - known.seenAt : Infinity;
    if (this.chosen ? this.history.isRecent(this.face) : away < AWAY_S) return;
    const first = faces.find((face) => face.id != null);
    if (first) Object.assign(this, { face: first.id, chosen: false });
  }

  #bindLegend() {
    this.values = EXPRESSIONS.map((name) => {
      const item = cloneOf("legend-item");
      const button = item.querySelector("button");
      item.dataset.expression = name;
      setText(item.querySelector(".name"), TEXT.expression(name));
      item.querySelector("line").setAttribute("stroke-dasharray", DASHES[name].join(" ") || "none");
      button.title = TEXT.lineOf(name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(name)) this.hidden.add(name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
        this.draw();
      });
      $("legend").append(item);
      return item.querySelector(".value");
    });
  }

  #bindCursor() {
    const move = (ago) => {
      this.cursor = ago === null ? null : Math.min(SPAN_S, Math.max(0, ago));
      this.draw();
    };
    canvas.addEventListener("pointermove", (event) => {
      const width = canvas.clientWidth - this.pad.left - this.pad.right;
      move(SPAN_S * (1 - (event.offsetX - this.pad.left) / width));
    });
    canvas.addEventListener("pointerleave", () => move(null));
    canvas.addEventListener("blur", () => move(null));
    canvas.addEventListener("focus", () => this.#describe());
    const steps = { ArrowLeft: 1, ArrowRight: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    canvas.addEventListener("keydown", (event) => {
      const to = { Home: SPAN_S, End: 0 }[event.key] ?? (event.key in steps ? (this.cursor ?? 0) + steps[event.key] : null);
      if (to === null) return;
      event.preventDefault();
      move(to);
      this.#describe();
    });
  }

  draw(now = performance.now()) {
    this.drawnAt = now;
    const context = clearedContext(canvas);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const area = this.#measure(context);
    drawGrid(context, area);
    for (const name of EXPRESSIONS) if (!this.hidden.has(name)) this.#drawLine(context, area, name);
    this.#drawNames(context, area);
    if (this.history.now !== null) drawMarkers(context, area, this.recentMarkers(), this.history.now);
    if (this.cursor !== null) this.#drawCursor(context, area);
    this.#showValues();
  }

  /** The area of the lines, in a context with the font of its texts. */
  #measure(context) {
    const scale = textScale();
    context.font = `400 ${SIZE * scale}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;
    const right = nameWidth(context, EXPRESSIONS.map(TEXT.expression), { width: canvas.clientWidth, scale });
    this.pad = { left: PAD.left * scale, right: Math.max(PAD.right, right), top: PAD.top, bottom: PAD.bottom * scale };
    const { left, right: end, top, bottom } = this.pad;
    return { left, top, w: canvas.clientWidth - left - end, h: canvas.clientHeight - top - bottom, scale, named: right > 0 };
  }

  #drawLine(context, area, name) {
    const known = this.history.faces.get(this.face);
    if (!known) return;
    const index = EXPRESSIONS.indexOf(name);
    context.beginPath();
    let begun = false;
    for (const { at, afterAway, sums, count } of known.bins) {
      const x = area.left + area.w * (1 - Math.max(0, this.history.now - at - BIN_S / 2) / SPAN_S);
      const y = area.top + area.h * (1 - sums[index] / count);
      if (x < area.left) continue;
      if (!begun) context.lineDashOffset = (at * area.w) / SPAN_S; // dashes move with the line
      if (begun && !afterAway) context.lineTo(x, y);
      else context.moveTo(x, y);
      begun = true;
    }
    context.strokeStyle = theme()[name];
    context.lineWidth = name === known.label ? 2.5 : 1.5;
    context.lineJoin = "round";
    context.setLineDash(DASHES[name]);
    context.stroke();
    context.setLineDash([]);
  }

  /** The names of the lines that reach the right end. */
  #drawNames(context, area) {
    const values = area.named && this.history.now !== null ? this.history.at(this.face, this.history.now) : null;
    if (!values) return;
    const lines = EXPRESSIONS.filter((name) => !this.hidden.has(name))
      .map((name) => ({ name: TEXT.expression(name), y: area.top + area.h * (1 - values[name]), color: theme()[name] }));
    const { left, w, top, h, scale } = area;
    drawNames(context, lines, { x: left + w, top: top + 4 * scale, bottom: top + h - 4 * scale, scale, color: theme().text });
  }

  #drawCursor(context, area) {
    const x = Math.round(area.left + area.w * (1 - this.cursor / SPAN_S)) + 0.5;
    context.beginPath();
    context.moveTo(x, area.top);
    context.lineTo(x, area.top + area.h);
    context.strokeStyle = theme().text;
    context.lineWidth = 1;
    context.stroke();
  }

  /** The seven values at the cursor, or the newest ones; null without any. */
  #valuesNow() {
    const { history, face, cursor } = this;
    return history.now === null ? null : history.at(face, history.now - (cursor ?? 0));
  }

  /** Write the values into the legend. */
  #showValues() {
    const { face, cursor } = this;
    const values = this.#valuesNow();
    this.values.forEach((element, i) => setText(element, values ? String(Math.round(100 * values[EXPRESSIONS[i]])) : TEXT.unknown));
    setText($("timeline-face"), face === null ? "" : TEXT.face(face));
    setText($("moment"), cursor === null ? "" : TEXT.ago(cursor));
  }

  /** Write the values for screen readers, on focus and cursor keys only: they read out every change. */
  #describe() {
    const { face, cursor } = this;
    const values = this.#valuesNow();
    const when = TEXT.ago(cursor ?? 0);
    const top = values && Object.entries(values).sort((a, b) => b[1] - a[1]).slice(0, 3);
    const text = face === null ? TEXT.noHistory : top ? TEXT.valuesAt(when, top) : TEXT.awayAt(when);
    canvas.setAttribute("aria-valuenow", String(-Math.round(cursor ?? 0)));
    canvas.setAttribute("aria-valuetext", text);
  }
}

/** A line for each marker, with its word where that does not cover the next one. */
function drawMarkers(context, { left, top, w, h, scale }, markers, now) {
  const places = markers.map(({ at, text }) => ({ x: Math.round(left + w * (1 - Math.max(0, now - at) / SPAN_S)) + 0.5, text }));
  context.strokeStyle = theme().text;
  context.lineWidth = 1;
  context.textAlign = "left";
  context.textBaseline = "top";
  places.forEach(({ x, text }, i) => {
    if (x < left) return;
    context.beginPath();
    context.moveTo(x, top);
    context.lineTo(x, top + h);
    context.stroke();
    const [width, room] = [context.measureText(text).width + 8 * scale, (places[i + 1]?.x ?? left + w) - x];
    if (width > room) return;
    context.fillStyle = theme().panel;
    context.fillRect(x + 1, top, width - 1, (SIZE + 3) * scale);
    context.fillStyle = theme().text;
    context.fillText(text, x + 4 * scale, top);
  });
}

/** The context has the font of the texts. */
function drawGrid(context, { left, top, w, h, scale }) {
  const { line, muted } = theme();
  context.fillStyle = muted;
  context.strokeStyle = line;
  context.lineWidth = 1;
  context.beginPath();
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(top + h * (1 - share)) + 0.5;
    context.moveTo(left, y);
    context.lineTo(left + w, y);
    context.fillText(String(100 * share), left - 8, y);
  }
  context.stroke();
  context.textBaseline = "bottom";
  const step = w < 400 * scale ? 30 : 15;
  for (let ago = SPAN_S; ago >= 0; ago -= step) {
    context.textAlign = ago === SPAN_S ? "left" : ago === 0 ? "right" : "center";
    const x = left + w * (1 - ago / SPAN_S);
    context.fillText(TEXT.axis(ago), x, top + h + PAD.bottom * scale - 2);
  }
}
