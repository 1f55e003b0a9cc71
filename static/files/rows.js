// The rows of the table of results: one for each face, or one for a file without a face or that failed.

import { EXPRESSIONS } from "../colors.js";

/** Kinds of rows, of which each row is one: a label that is sure, or what else there is to say. */
export const KINDS = [...EXPRESSIONS, "unsure", "none", "failed"];

/** [folder, name] of a path such as may/anna.mp4; the name identifies a file even where the line is too short. */
export function splitName(path) {
  const start = path.lastIndexOf("/") + 1;
  return [path.slice(0, start), path.slice(start)];
}

const made = new WeakMap(); // job -> its rows, which do not change once it is done

/**
 * The rows of a file: {key, entry, kind, face, reason, values}; values: what the columns are sorted by, null if there
 * is nothing.
 */
export function rowsOf(entry) {
  if (!entry.isFinished) return [];
  const { state, job } = entry;
  if (state === "refused" || state === "failed") {
    return [newRow(entry, { kind: "failed", reason: entry.reason ?? job.reason })];
  }
  if (!made.has(job)) {
    const faces = job.result?.faces ?? [];
    const rows = faces.map((face) => newRow(entry, { kind: face.unsure ? "unsure" : face.label, face }));
    made.set(job, rows.length ? rows : [newRow(entry, { kind: "none" })]);
  }
  return made.get(job);
}

function newRow(entry, { kind, face = null, reason = null }) {
  const seen = face?.seconds ? Object.values(face.seconds).reduce((sum, s) => sum + s, 0) : null;
  const values = {
    face: face?.id ?? null,
    expression: face ? KINDS.indexOf(face.label) : null,
    confidence: face?.confidence ?? null,
    seen,
    quality: face?.quality ?? null,
  };
  return { key: `${entry.key}/${face?.id ?? 0}`, entry, kind, face, reason, values };
}

const compareNames = new Intl.Collator(undefined, { numeric: true }).compare;

/** Sorts rows by a column: those without a value last, equal ones by file and face. */
export class RowOrder {
  #ranks = new Map(); // entry -> its place by name; comparing names anew for each update would take too long
  #newest = 0;

  sort(rows, entries, { by, isDown }) {
    this.#rank(entries);
    const sign = isDown ? -1 : 1;
    const placeOf = ({ entry }) => this.#ranks.get(entry);
    const byFile = (a, b) => placeOf(a) - placeOf(b) || (a.face?.id ?? 0) - (b.face?.id ?? 0);
    const byName = (a, b) => sign * (placeOf(a) - placeOf(b)) || byFile(a, b);
    const byValue = (a, b) => {
      const [x, y] = [a.values[by], b.values[by]];
      if (x === null || y === null) return (x === null) - (y === null) || byFile(a, b);
      return sign * (x - y) || byFile(a, b);
    };
    return rows.toSorted(by === "name" ? byName : byValue);
  }

  #rank(entries) {
    const newest = entries.at(-1)?.key ?? 0; // entries are only removed, or added at the end
    if (newest === this.#newest) return;
    this.#newest = newest;
    const sorted = entries.toSorted((a, b) => compareNames(a.name, b.name) || a.key - b.key);
    this.#ranks = new Map(sorted.map((entry, i) => [entry, i]));
  }
}
