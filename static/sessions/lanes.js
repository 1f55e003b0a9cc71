// The lanes of a replay: for each person, the expressions over the whole session, unsure times and excluded spans shaded.

import { EXPRESSIONS, onThemeChange, theme } from "../colors.js";
import { $, clearedContext, cloneOf, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { patterns } from "./marks.js";

const HATCH_PX = 6;
const LEAST_DRAG_PX = 4;

export class Lanes {
  /** seek: called with a time. exclude: called with the two ends of a span. */
  constructor({ seek, exclude }) {
    Object.assign(this, { seek, exclude, length: 0, step: 0, people: [], excluded: [], markers: [], selection: null, t: 0 });
    this.parts = new Map(); // first face of a person -> element
    this.#bind($("lanes"));
    new ResizeObserver(() => this.draw()).observe($("lanes"));
    onThemeChange(() => this.draw());
  }

  /**
   * length: of the session, step: of a point of a lane, in seconds. people: [{first, name, lane}], lane: a list of values
   * for each expression and unsure, null where it was not seen.
   */
  show({ length, step, people, excluded, markers }) {
    Object.assign(this, { length, step, people, excluded, markers });
    const old = new Map(this.parts);
    this.parts = new Map();
    for (const person of people) {
      const part = old.get(person.first) ?? cloneOf("lane");
      old.delete(person.first);
      this.parts.set(person.first, part);
      setText(part.querySelector(".lane-name"), person.name);
      part.querySelector("canvas").setAttribute("aria-label", TEXT.replay.lane(person.name));
      $("lanes").append(part);
    }
    for (const part of old.values()) part.remove();
    this.draw();
  }

  /** Move the line that shows where the replay is. */
  move(t) {
    this.t = t;
    const canvas = $("lanes").querySelector("canvas");
    if (!canvas || !this.length) return;
    $("head").style.transform = `translateX(${canvas.offsetLeft + (canvas.clientWidth * t) / this.length}px)`;
  }

  draw() {
    for (const person of this.people) this.#drawLane(this.parts.get(person.first).querySelector("canvas"), person.lane);
    this.move(this.t);
  }

  #drawLane(canvas, lane) {
    const context = clearedContext(canvas);
    const { width, height } = canvas;
    const colors = theme();
    const marks = patterns(context, colors.panel);
    const styles = Object.fromEntries(EXPRESSIONS.map((name) => [name, [colors[name], marks[name]].filter(Boolean)]));
    const points = lane.happy.length;
    const step = (width * this.step) / this.length;
    for (let i = 0; i < points; i += 1) {
      if (lane.happy[i] === null) continue;
      const x = Math.round(i * step);
      const w = Math.round((i + 1) * step) - x;
      let below = 0;
      for (const name of EXPRESSIONS) {
        const bottom = Math.round(height * (1 - below));
        below += lane[name][i];
        const y = Math.round(height * (1 - below));
        for (const style of styles[name]) {
          context.fillStyle = style;
          context.fillRect(x, y, w, bottom - y);
        }
      }
      if (lane.unsure[i] >= 0.5) {
        context.fillStyle = colors.panel;
        context.globalAlpha = 0.65;
        context.fillRect(x, 0, w, height);
        context.globalAlpha = 1;
      }
    }
    const spans = this.selection ? [...this.excluded, this.selection] : this.excluded;
    for (const { from, to } of spans) this.#hatch(context, (width * from) / this.length, (width * to) / this.length);
    context.fillStyle = colors.text;
    for (const { t } of this.markers) context.fillRect((width * t) / this.length - devicePixelRatio, 0, 2 * devicePixelRatio, height);
  }

  #hatch(context, left, right) {
    const { height } = context.canvas;
    const colors = theme();
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    context.globalAlpha = 0.8;
    context.fillStyle = colors.panel;
    context.fillRect(left, 0, right - left, height);
    context.globalAlpha = 1;
    context.strokeStyle = colors.muted;
    context.lineWidth = devicePixelRatio;
    context.beginPath();
    for (let x = left - height; x < right; x += HATCH_PX * devicePixelRatio) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
  }

  #bind(lanes) {
    let drag = null; // {x, isSpan, canvas}
    const timeAt = (canvas, event) => {
      const { left, width } = canvas.getBoundingClientRect();
      return this.length * Math.max(0, Math.min(1, (event.clientX - left) / width));
    };
    lanes.addEventListener("pointerdown", (event) => {
      const canvas = event.target.closest("canvas");
      if (!canvas || event.button !== 0) return;
      event.preventDefault();
      lanes.setPointerCapture(event.pointerId);
      drag = { canvas, x: event.clientX, start: timeAt(canvas, event), isSpan: event.shiftKey };
      if (!drag.isSpan) this.seek(drag.start);
    });
    lanes.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const t = timeAt(drag.canvas, event);
      if (!drag.isSpan) return this.seek(t);
      this.selection = { from: Math.min(drag.start, t), to: Math.max(drag.start, t) };
      this.draw();
    });
    const end = (event) => {
      const span = this.selection;
      const isLong = drag && Math.abs(event.clientX - drag.x) >= LEAST_DRAG_PX;
      drag = this.selection = null;
      if (!span) return;
      this.draw();
      if (event.type === "pointerup" && isLong) this.exclude(span);
    };
    lanes.addEventListener("pointerup", end);
    lanes.addEventListener("pointercancel", end);
  }
}
