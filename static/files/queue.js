// The queue: files of this browser on their way to the program, and the program's jobs.

import { fetchJson } from "../server.js";
import { TEXT } from "../texts.js";
import { Entry } from "./entries.js";
import { JobEvents } from "./job_events.js";
import { Room } from "./room.js";
import { upload } from "./upload.js";

const MAX_UPLOADS = 2;
const MAX_REQUESTS = 4; // to cancel many jobs at once
const REFRESH_MS = 600000; // the program forgets jobs that nobody asks for in an hour

/** on.change(): something is to be shown anew. on.error(message): an action that failed. */
export class FileQueue {
  #group;
  #on;
  #events;
  #entries = new Map(); // by key, in the order they were added
  #byJob = new Map(); // job id -> entry
  #forgotten = new Set(); // ids of canceled jobs, which late events may still name
  #sending = new Set(); // entries
  #nextKey = 1;
  #limits = {};
  #removals = 0; // that the program has not confirmed

  paused = false; // nothing is sent until resumeAll()
  lost = false; // the program does not answer

  constructor(group, on) {
    this.#group = group;
    this.#on = on;
    this.#events = new JobEvents(group, {
      jobs: (jobs) => this.#take(jobs),
      refresh: () => this.restore(),
      lost: (isLost) => {
        this.lost = isLost;
        this.#on.change();
      },
    });
    setInterval(() => this.#byJob.size && this.restore().catch(() => {}), REFRESH_MS);
  }

  /** Whether one waits for the user. */
  isPaused(entry) {
    return entry.isPaused || (this.paused && entry.state === "unsent");
  }

  get entries() {
    return [...this.#entries.values()].filter(({ canceled }) => !canceled);
  }

  /** Names of the files that closing the page loses. */
  get unsent() {
    return this.entries.filter(({ isUnsent }) => isUnsent).map(({ name }) => name);
  }

  /** files: [{file, name}]. One whose sending was interrupted is continued. */
  add(files) {
    const interrupted = this.entries.filter(({ state }) => state === "lost");
    for (const { file, name } of files) {
      const known = interrupted.find((one) => !one.file && one.name === name && one.bytes === file.size);
      if (known) known.file = file;
      else this.#append({ file, name });
    }
    this.#changed();
  }

  /** Ask for all jobs, as for those that were added before the page was reloaded. */
  async restore() {
    const known = new Set(this.#byJob.keys());
    const { jobs, limits } = await this.#events.list();
    this.#limits = limits;
    this.#take(jobs, known);
  }

  // ---- actions

  async pause(entry) {
    if (entry.isUnsent || entry.state === "lost") {
      entry.held = true;
      return this.#changed();
    }
    return this.#act(entry, "pause");
  }

  async resume(entry) {
    if (this.paused) for (const other of this.entries) other.held = other.isUnsent; // they stay paused
    this.paused = false;
    entry.held = false;
    if (entry.job?.state === "paused") return this.#act(entry, "resume");
    return this.#changed();
  }

  async cancel(entry) {
    this.#remove(entry);
    this.#changed();
    if (entry.job) await this.#forget(entry.job.id);
  }

  retry(entry) {
    if (entry.job) this.cancel(entry);
    else this.#remove(entry);
    entry.reset();
    this.#append({ file: entry.file, name: entry.name });
    this.#changed();
  }

  async pauseAll() {
    this.paused = true;
    this.#changed();
    await this.#actOnAll("pause");
  }

  async resumeAll() {
    this.paused = false;
    for (const entry of this.entries) entry.held = false;
    this.#changed();
    await this.#actOnAll("resume");
  }

  /** Cancel all files that are not finished; results stay. */
  async cancelAll() {
    const open = this.entries.filter(({ isFinished }) => !isFinished);
    this.paused = false;
    await this.#removeAll(open);
  }

  /** Remove what is finished, here and in the program. */
  async removeResults() {
    await this.#removeAll(this.entries.filter(({ isFinished }) => isFinished));
  }

  async #removeAll(entries) {
    const ids = entries.map(({ job }) => job?.id).filter(Boolean);
    for (const entry of entries) this.#remove(entry);
    this.#on.change();
    this.#removals += 1;
    const work = async () => {
      while (ids.length) await this.#forget(ids.shift());
    };
    await Promise.all(Array.from({ length: MAX_REQUESTS }, work));
    this.#removals -= 1;
    this.#changed(); // there is room for others now
  }

  async #act(entry, action) {
    const job = await this.#request(`api/jobs/${entry.job.id}/${action}`, "POST");
    if (job) this.#take([job]);
  }

  async #actOnAll(action) {
    if (this.#byJob.size) await this.#request(`api/jobs/${action}?group=${this.#group}`, "POST");
  }

  #forget = (id) => this.#request(`api/jobs/${id}`, "DELETE");

  /** An action that the program refuses came too late, such as pausing what is done: events say what is true. */
  async #request(path, method) {
    try {
      return await fetchJson(path, { method });
    } catch (error) {
      if (![404, 409].includes(error.status)) this.#on.error(error.message);
      return null;
    }
  }

  // ---- sending

  #append({ file, name, bytes }) {
    const entry = new Entry(this.#nextKey, { file, name, bytes: bytes ?? file.size });
    this.#entries.set(this.#nextKey, entry);
    this.#nextKey += 1;
    return entry;
  }

  /** Start as many uploads as are allowed; a file for which there is no room yet waits. */
  #sendNext() {
    if (this.paused || this.#removals) return;
    const room = new Room(this.#entries.values(), this.#limits);
    for (const entry of this.#entries.values()) {
      if (entry.state !== "unsent" || entry.held) continue;
      entry.waitsFor = room.waitsFor(entry);
      if (entry.waitsFor || this.#sending.size >= MAX_UPLOADS) continue;
      if (!entry.job) room.take(entry);
      this.#send(entry);
    }
  }

  async #send(entry) {
    this.#sending.add(entry);
    entry.sending = true;
    try {
      await upload(entry, this.#group, {
        job: (job) => this.#setJob(entry, job),
        waiting: (isWaiting) => {
          entry.linkLost = isWaiting;
          this.#on.change();
        },
        find: () => this.#find(entry),
        isHeld: () => entry.held || this.paused,
        isCanceled: () => entry.canceled,
      });
    } catch (error) {
      entry.reason = error.message;
    }
    this.#sending.delete(entry);
    entry.sending = entry.linkLost = false;
    if (entry.canceled && entry.job) this.#forget(entry.job.id);
    if (entry.canceled) this.#remove(entry);
    else this.#agreeOnPause(entry);
    this.#changed();
  }

  /** What was paused or resumed while it was being sent is so in the program too. */
  #agreeOnPause(entry) {
    const isHeld = this.paused || entry.held;
    if (isHeld && ["waiting", "analyzing"].includes(entry.state)) this.#act(entry, "pause");
    else if (!isHeld && entry.state === "paused") this.#act(entry, "resume");
  }

  /** The job of a file whose creation was not answered. */
  async #find(entry) {
    const { jobs } = await this.#events.list();
    const isNew = ({ id }) => !this.#byJob.has(id) && !this.#forgotten.has(id);
    const isIt = (job) => job.name === entry.name && job.bytes === entry.bytes && isNew(job);
    return entry.job ?? jobs.find(isIt) ?? null; // an event may have named it
  }

  // ---- the program's jobs

  /** Take jobs as the program describes them; expected: ids that a complete list must contain. */
  #take(jobs, expected = null) {
    for (const job of jobs) {
      if (this.#forgotten.has(job.id)) continue;
      if (job.state === "canceled") this.#takeCanceled(this.#byJob.get(job.id));
      else this.#setJob(this.#entryOf(job), job);
    }
    const listed = new Set(jobs.map(({ id }) => id));
    for (const id of expected ?? []) if (!listed.has(id)) this.#lose(this.#byJob.get(id));
    this.#changed();
  }

  /** The program has forgotten a job: it refused the file after all, or this was asked for, or it is an old one. */
  #takeCanceled(entry) {
    if (entry?.sending) {
      this.#byJob.delete(entry.job.id);
      entry.job = null; // the answer to its request says why
    } else if (entry?.isFinished) this.#lose(entry);
    else if (entry) this.#remove(entry);
  }

  /** An event may name a job before its creation is answered. */
  #entryOf(job) {
    const known = this.#byJob.get(job.id);
    if (known) return known;
    const isIt = (entry) => !entry.job && entry.name === job.name && entry.bytes === job.bytes;
    return [...this.#sending].find(isIt) ?? this.#append({ file: null, name: job.name, bytes: job.bytes });
  }

  #setJob(entry, job) {
    const other = this.#byJob.get(job.id);
    if (other && other !== entry) {
      other.job = null; // of the same name and size, and created at the same time
      if (!other.file) this.#entries.delete(other.key); // or the program has changed the name
    }
    this.#byJob.set(job.id, entry);
    entry.update(job);
    this.#on.change();
  }

  /** The program no longer knows a job, as after its restart: send the file again, or say what happened. */
  #lose(entry) {
    if (!entry || entry.sending) return; // upload() notices by itself
    this.#byJob.delete(entry.job.id);
    const { isPaused } = entry;
    if (["done", "failed"].includes(entry.state)) entry.job = { ...entry.job, gone: true };
    else if (entry.file) {
      entry.reset();
      entry.held = isPaused;
    } else Object.assign(entry, { job: null, reason: TEXT.files.gone });
  }

  #remove(entry) {
    if (entry.job) {
      this.#byJob.delete(entry.job.id);
      this.#forgotten.add(entry.job.id);
    }
    if (entry.sending) entry.canceled = true; // removed when its request is answered
    else this.#entries.delete(entry.key);
  }

  #changed() {
    this.#sendNext();
    const isOpen = ({ job, isFinished }) => job && !isFinished;
    if (this.entries.some(isOpen)) this.#events.start();
    else {
      this.#events.stop();
      this.lost = false;
    }
    this.#on.change();
  }
}
