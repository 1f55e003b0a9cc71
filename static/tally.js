// Who was seen since the page was opened, and for how long with each expression; kept when the page is reloaded.

import { Gaps } from "./gaps.js";
import { SHOWN } from "./shares.js";

const STORE = "mien.tally"; // in sessionStorage
const STORE_S = 5;
const MAX_KEPT = 20; // people whose faces are gone
const ANOTHER_RUN = 1000; // another run of the program counts its settings from elsewhere, and faces from 1

const noTime = () => ({ seconds: Object.fromEntries(SHOWN.map((name) => [name, 0])), total: 0 });

export class Tally {
  constructor() {
    this.gaps = new Gaps();
    this.present = new Set(); // keys of the faces of the newest frame
    this.storedAt = -Infinity;
    this.#begin("page");
    this.#restore();
  }

  #begin(since) {
    this.since = since; // "page": it was opened; "start": the program was started again
    this.version = null; // of the program's settings
    this.watched = 0; // seconds in which frames arrived
    this.people = new Map(); // "program 1" -> {seconds: {name of SHOWN: s}, total}, in the order of their appearance
    this.others = { count: 0, total: 0 }; // sum over those removed from `people`
    this.lastOwnFace = 0; // the highest number of a face of this browser's camera
    this.present.clear();
  }

  /** Take notice of the version of the program's settings: faces of another run have other numbers. */
  setVersion(version) {
    if (this.version !== null && Math.abs(version - this.version) > ANOTHER_RUN) this.#begin("start");
    this.version = version;
  }

  /** Add the faces of a frame at `now` seconds. of: "program" or "camera". shown: a face's label, or "unsure". */
  add(faces, now, { of, shown }) {
    const passed = this.gaps.step(now);
    const present = new Set();
    for (const face of faces) {
      if (face.id == null) continue;
      const key = `${of} ${face.id}`;
      present.add(key);
      if (of === "camera") this.lastOwnFace = Math.max(this.lastOwnFace, face.id);
      if (passed === null || !this.present.has(key)) continue;
      if (!this.people.has(key)) this.people.set(key, noTime());
      const person = this.people.get(key);
      person.seconds[shown(face)] += passed;
      person.total += passed;
    }
    this.watched += passed ?? 0;
    this.present = present;
    this.#dropLost();
    if (now - this.storedAt > STORE_S) this.store(now);
  }

  /** Keep only those lost faces that were visible longest, so that memory stays bounded. */
  #dropLost() {
    if (this.people.size <= MAX_KEPT) return;
    const gone = [...this.people].filter(([key]) => !this.present.has(key));
    for (const [key, { total }] of gone.sort(([, a], [, b]) => b.total - a.total).slice(MAX_KEPT)) {
      this.others.count += 1;
      this.others.total += total;
      this.people.delete(key);
    }
  }

  /** How many people were seen. */
  get count() {
    return this.people.size + this.others.count;
  }

  store(now = Infinity) {
    this.storedAt = now;
    const { since, version, watched, others, lastOwnFace } = this;
    try {
      sessionStorage.setItem(STORE, JSON.stringify({ since, version, watched, others, lastOwnFace, people: [...this.people] }));
    } catch {} // the browser lets this page store nothing
  }

  #restore() {
    try {
      const { people, ...stored } = JSON.parse(sessionStorage.getItem(STORE)) ?? {};
      if (people) Object.assign(this, stored, { people: new Map(people) });
    } catch {} // as above
  }
}
