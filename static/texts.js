// The texts of the page in the viewer's language: static/texts/ has a file for each language, docs/translations.md
// describes them. Here is what a text is filled with, and how numbers and times are written.

/** The language of this page, such as "de". The server has chosen it. */
export const LANGUAGE = document.documentElement.lang;

/** Some browsers have names of languages that are none, such as en-US@posix. */
function isLocale(name) {
  try {
    return Intl.getCanonicalLocales(name).length > 0;
  } catch {
    return false;
  }
}

/** The same with the viewer's country, if the browser names it: dates are written as in that country. */
const locale = navigator.languages.find((each) => each.split("-")[0] === LANGUAGE && isLocale(each)) ?? LANGUAGE;

const plural = new Intl.PluralRules(LANGUAGE);

const load = async (code) => (await fetch(new URL(`texts/${code}.json`, import.meta.url))).json();

/** The second of two objects of texts, with those of the first where it has none. */
const over = (base, own) =>
  Object.fromEntries(Object.keys({ ...base, ...own }).map((key) => {
    const isGroup = typeof base?.[key] === "object" && typeof own?.[key] === "object";
    return [key, isGroup && !Array.isArray(own[key]) && !("other" in own[key]) ? over(base[key], own[key]) : own?.[key] ?? base[key]];
  }));

// One file, and before it the English one if it lacks texts.
const words = (await Promise.all(document.documentElement.dataset.texts.split(" ").map(load))).reduce(over);

/** A text with its placeholders filled in; one with plural forms takes that of values.n. */
function fill(text, values) {
  const form = typeof text === "string" ? text : text[values.n] ?? text[plural.select(values.n)] ?? text.other;
  return form.replace(/{(\w+)}/g, (_, name) => values[name]);
}

const numbers = [0, 1].map((digits) =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false }));

/** A number with no or one digit behind the decimal point. */
const number = (value, digits = 0) => numbers[digits].format(value);

const percent = (share) => fill(words.percent, { n: Math.round(100 * share) });

/** Minutes and seconds: 0:07 or 12:34. */
const minutes = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

const megabytes = (bytes) => {
  const mb = bytes / 1e6;
  if (mb >= 1000) return fill(words.sizes.gigabytes, { n: number(mb / 1000, 1) });
  return fill(words.sizes.megabytes, { n: number(mb, mb < 10 ? 1 : 0) });
};

/** The first names, and how many there are in addition. */
function some(names) {
  const first = names.slice(0, 3).join(", ");
  return names.length > 3 ? fill(words.files.someMore, { names: first, n: names.length - 3 }) : first;
}

const expression = (label) => words.expressions[label] ?? label;

const shareOf = (label, share) => fill(words.shareOf, { label, share: percent(share) });

const people = (n) => fill(words.sessions.people, { n });

/** Texts as in the files, except that those with placeholders are functions. */
export const TEXT = {
  ...words,
  percent,
  minutes,
  number,
  /** The name of an expression as it is displayed; programs and files always have the English one. */
  expression,
  truth: (labels) => fill(words.truth, { label: labels.map((label) => (label ? expression(label) : words.unknown)).join(", ") }),
  face: (id) => fill(words.face, { number: id }),
  labelOf: (label, unsure) => (unsure ? fill(words.unsureLabel, { label: expression(label) }) : expression(label)),
  people: (share, label) => fill(words.people, { n: Math.round(10 * share), label: expression(label) }),
  qualityHint: (value) => fill(words.qualityHint, { quality: percent(value) }),
  rest: {
    ...words.rest,
    measuring: (s) => fill(words.rest.measuring, { s: Math.max(1, Math.ceil(s)) }),
    refused: (reason) => fill(words.rest.refused, { reason }),
    change: (value) => (Math.abs(value) < 0.05 ? "" : value < 0 ? "−" : "+") + number(Math.abs(value), 1),
  },
  seconds: (s) => fill(words.seconds, { s: Math.ceil(s) }),
  viewers: (n) => fill(words.viewers, { n }),
  heard: (state, labels) => fill(words.heard, { state, faces: labels.length ? labels.join(", ") : words.heardNone }),
  /** label: as it is displayed. */
  shareOf,
  boxLabel: (id, label, share) => `${id == null ? "" : `${id}  `}${shareOf(label, share)}`,
  nothingYet: (name) => fill(words.nothingYet, { name }),
  saved: (name) => fill(words.saved, { name }),
  notDone: (reason) => fill(words.notDone, { reason }),
  recording: (s, video) => fill(video ? words.recordingVideo : words.recording, { time: minutes(s) }),
  recordingOwn: (s, faces, video) => fill(video ? words.recordingOwnVideo : words.recordingOwn, { time: minutes(s), n: faces }),
  recordingOn: ({ name, video }) => fill(video ? words.recordingOnVideo : words.recordingOn, { name }),
  recordingOff: (rows) => fill(words.recordingOff, { n: rows }),
  recorded: (s, n) => fill(words.recorded, { time: minutes(s), people: people(n) }),
  recordingVideoBroke: (reason) => fill(words.recordingVideoBroke, { reason }),
  recordingBroke: (reason) => fill(words.recordingBroke, { reason }),
  session: {
    ...words.session,
    line: (since, n, s) => fill(words.session.line, { since, people: people(n), time: minutes(s) }),
    reading: (since) => fill(words.session.reading, { since }),
    ofCamera: (face) => fill(words.session.ofCamera, { number: face }),
    split: (faces) => fill(words.session.split, { first: faces.slice(0, -1).join(", "), last: faces.at(-1) }),
  },
  video: {
    ...words.video,
    broke: (reason) => fill(words.video.broke, { reason }),
    storedOnce: (reason) => fill(words.video.storedOnce, { reason }),
  },
  heatNone: (reason) => fill(words.heatNone, { reason }),
  outputs: {
    ...words.outputs,
    counts: (sent, dropped) =>
      fill(words.outputs.sent, { n: sent }) + (dropped ? fill(words.outputs.dropped, { n: dropped }) : ""),
  },
  sources: {
    ...words.sources,
    opening: (name) => fill(words.sources.opening, { name }),
    granted: ({ width, height }) => fill(words.sources.granted, { width, height }),
    files: (shown, all) => (shown === all ? `${all}` : fill(words.sources.files, { shown, all })),
  },
  camera: { ...words.camera, failed: (reason) => fill(words.camera.failed, { reason }) },
  images: {
    ...words.images,
    working: (n) => fill(words.images.working, { n }),
    show: (name) => fill(words.images.show, { name }),
  },
  files: {
    ...words.files,
    badge: (done, all) => fill(words.files.badge, { done, all }),
    count: (done, all) => fill(words.files.count, { done, all }),
    title: (done, all) => fill(words.files.title, { done, all }),
    summary: (done, all) => fill(words.files.summary, { done, n: all }),
    left: timeLeft,
    mayTake: (s) => fill(words.files.mayTake, { left: timeLeft(s) }),
    finished: (n) => fill(words.files.finished, { n }),
    leftOut: (names) => fill(words.files.leftOut, { n: names.length, names: some(names) }),
    unsentLost: (names) => fill(words.files.unsentLost, { n: names.length, names: some(names) }),
    sent: (sent, all) => fill(words.files.sent, { sent: megabytes(sent), all: megabytes(all) }),
    rate: (fps) => fill(words.files.rate, { fps: Math.round(fps) }),
    pause: (name) => fill(words.files.pause, { name }),
    resume: (name) => fill(words.files.resume, { name }),
    cancel: (name) => fill(words.files.cancel, { name }),
    rows: (n) => fill(words.files.rows, { n }),
    page: (first, last, all) => fill(words.files.page, { first, last, all }),
    ofTime: (share) => fill(words.files.ofTime, { share: percent(share) }),
    reportOf: (name) => fill(words.files.reportOf, { name }),
    retryOf: (name) => fill(words.files.retryOf, { name }),
  },
  sessions: {
    ...words.sessions,
    date: dateOf,
    count: (n) => fill(words.sessions.count, { n }),
    people,
    facts: ({ name, began, length_s: length, people: n, source, bytes }) =>
      [
        name == null ? null : dateOf(began),
        length == null ? null : minutes(length),
        n == null ? null : people(n),
        source === "browser" ? words.sessions.browser : null,
        bytes < 5e4 ? null : megabytes(bytes),
      ].filter(Boolean).join(" · "),
    deletion: (name, bytes) => {
      const { text, ...rest } = words.sessions.deletion;
      const size = bytes < 5e4 ? words.sizes.tiny : megabytes(bytes);
      return { ...rest, text: text.map((paragraph) => fill(paragraph, { name, size })) };
    },
    deleted: (name) => fill(words.sessions.deleted, { name }),
  },
  replay: {
    ...words.replay,
    time: minutes,
    at: (s, length) => fill(words.replay.at, { time: minutes(s), length: minutes(length) }),
    speed: (factor) => fill(words.replay.speed, { factor: new Intl.NumberFormat(locale).format(factor) }),
    broke: (reason) => fill(words.replay.broke, { reason }),
    lane: (name) => fill(words.replay.lane, { name }),
    markAt: (s) => fill(words.replay.markAt, { time: minutes(s) }),
    excluded: ({ from, to }) => fill(words.replay.excluded, { from: minutes(from), to: minutes(to) }),
    excludeFrom: (s) => fill(words.replay.excludeFrom, { time: minutes(s) }),
    rename: (name) => fill(words.replay.rename, { name }),
    merge: (name) => fill(words.replay.merge, { name }),
    rest: (n) => fill(words.replay.rest, { n }),
    change: (changes) => fill(words.replay.change, { changes: changes.join(", ") }),
  },
  programs: {
    ...words.programs,
    status: (status, type, ms) => fill(words.programs.status, { status, type, ms: Math.round(ms) }),
  },
  ago: (s) => (s < 0.5 ? words.now : fill(words.ago, { n: Math.round(s) })),
  axis: (s) => (s === 0 ? words.now : fill(words.axis, { n: s })),
  lineOf: (label) => fill(words.lineOf, { label: expression(label) }),
  awayAt: (when) => fill(words.awayAt, { when }),
  valuesAt: (when, values) =>
    fill(words.valuesAt, { when, values: values.map(([label, share]) => shareOf(expression(label), share)).join(", ") }),
  rareSteps: new Map([[0, words.rareSteps.seen], [0.5, words.rareSteps.more], [1, words.rareSteps.equal]]),
  foundBy: (detector) => fill(words.foundBy, { detector }),
  more: (n) => fill(words.more, { n }),
};

function timeLeft(s) {
  if (s < 90) return fill(words.files.leftSeconds, { n: Math.max(1, Math.ceil(s)) });
  if (s < 5400) return fill(words.files.leftMinutes, { n: Math.round(s / 60) });
  return fill(words.files.leftHours, { n: Math.round(s / 3600) });
}

function dateOf(s) {
  return new Date(1000 * s).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
}
