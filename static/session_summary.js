// The share of time of each expression in this session, for all faces together and for each.

import { EXPRESSIONS } from "./colors.js";
import { $, cloneOf, setText } from "./dom.js";
import { MAX_LISTED } from "./history.js";
import { TEXT } from "./texts.js";

const UPDATE_MS = 1000;

let updatedAt = 0;

/** Show the shares of a History, at most once per second. */
export function showSession(history, { now = performance.now(), force = false } = {}) {
  if (!force && now - updatedAt < UPDATE_MS) return;
  updatedAt = now;
  const faces = [...history.faces].filter(([, face]) => face.total > 0);
  const most = faces.toSorted(([, a], [, b]) => b.total - a.total).slice(0, MAX_LISTED).sort(([a], [b]) => a - b);
  const rows = most.map(([id, face]) => [TEXT.face(id), face]);
  if (faces.length > 1) rows.unshift([TEXT.allFaces, history.all()]);
  const list = $("session-rows");
  while (list.children.length > rows.length) list.lastElementChild.remove();
  while (list.children.length < rows.length) list.append(newRow());
  rows.forEach(([name, face], i) => fillRow(list.children[i], name, face));
  $("session-none").hidden = rows.length > 0;
  const more = faces.length + history.others.count - most.length;
  $("session-more").hidden = more <= 0;
  setText($("session-more"), TEXT.more(more));
}

function newRow() {
  const row = cloneOf("session-row");
  row.parts = EXPRESSIONS.map((name) => {
    const piece = document.createElement("span");
    piece.dataset.expression = name;
    row.querySelector(".strip-bar").append(piece);
    const share = document.createElement("li");
    share.dataset.expression = name;
    row.querySelector(".shares").append(share);
    return { name, piece, share };
  });
  return row;
}

function fillRow(row, name, { seconds, total }) {
  setText(row.querySelector(".who"), name);
  setText(row.querySelector(".time"), TEXT.minutes(total));
  for (const { name: label, piece, share } of row.parts) {
    const part = seconds[label] / total;
    piece.style.flexGrow = String(part);
    piece.hidden = part === 0;
    share.hidden = part < 0.005;
    setText(share, `${label} ${TEXT.percent(part)}`);
  }
}
