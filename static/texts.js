// All texts of the page.

const percent = (share) => `${Math.round(100 * share)}\u202f%`;

/** Minutes and seconds: 0:07 or 12:34. */
const minutes = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

const megabytes = (bytes) => {
  const mb = bytes / 1e6;
  return mb >= 1000 ? `${(mb / 1000).toFixed(1)} GB` : `${mb.toFixed(mb < 10 ? 1 : 0)} MB`;
};

const left = (s) => {
  if (s < 90) return `${Math.max(1, Math.ceil(s))} s left`;
  return s < 5400 ? `${Math.round(s / 60)} min left` : `${Math.round(s / 3600)} h left`;
};

const files = (n) => (n === 1 ? "1 file" : `${n} files`);

/** The first names, and how many there are in addition. */
const some = (names) =>
  names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");

const ofTenPeople = (n) => ({ 0: "hardly anybody", 10: "nearly everybody" })[n] ?? `about ${n} of 10 people`;

export const TEXT = {
  percent,
  minutes,
  unknown: "–",
  truth: (label) => `showing: ${label}`,
  face: (number) => `Face ${number}`,
  labelOf: (label, unsure) => (unsure ? `${label}?` : label),
  people: (share, label) => `${ofTenPeople(Math.round(10 * share))} would call this ${label}`,
  quality: {
    small: "too small: come closer",
    blurred: "blurred: hold still, or clean the lens",
    dark: "too dark: turn toward the light",
    overexposed: "too bright: move out of the glare",
    "turned away": "turned away: face the camera",
    "cut off": "cut off: move into the picture",
    covered: "partly covered: show eyes and mouth",
  },
  qualityHint: (value) =>
    `Quality ${percent(value)}: how often labels of such faces are what people see, compared with flawless pictures.`,
  seconds: (s) => `${Math.ceil(s)} s`,
  viewers: (n) => (n === 1 ? "1 viewer" : `${n} viewers`),
  heard: (word, labels) => `${word}. ${labels.length ? labels.join(", ") : "No face"}`,
  shareOf: (label, share) => `${label} ${percent(share)}`,
  boxLabel: (number, label, share) => `${number == null ? "" : `${number}  `}${TEXT.shareOf(label, share)}`,

  states: {
    loading: "LOADING",
    connecting: "CONNECTING",
    live: "LIVE",
    file: "FILE",
    demo: "DEMO",
    resting: "IDLE",
    reconnecting: "RECONNECTING",
    ended: "ENDED",
    lost: "NO CONNECTION",
    paused: "PAUSED",
    full: "TOO MANY VIEWERS",
    refused: "CAMERA REFUSED",
    nocamera: "NO CAMERA",
    image: "IMAGE",
    files: "FILES",
  },

  hints: {
    noFace: "No face detected. It works best with faces turned to the camera, in even light and not too far away.",
    missing: {
      webcam: "Check that the camera is plugged in and not used by another program. It is tried again by itself.",
      url: "Check that the camera or server at this address is on and can be reached. It is tried again by itself.",
      other: "It is tried again by itself.",
    },
    analysis:
      "The program tries again by itself. If this goes on, choose another face detector below, or start Mien again.",
    ended: "The file has ended.",
    resting: "The camera is released while nobody is watching, and opened again within a second.",
    noPicture: "Waiting for the first picture.",
  },

  waiting: "Waiting for the picture …",
  lost: "The connection to Mien is lost. Is the program still running? This page reconnects by itself.",
  away: "The picture returns when the connection does.",
  nothingYet: (name) => `Nothing yet from “${name}”.`,
  full: "Too many viewers are connected. The picture appears as soon as one of them leaves.",

  saved: (name) => `Saved as ${name}`,
  notSaved: "There is no picture to save yet.",
  notPaused: "There is no picture to pause yet.",
  pause: "Pause",
  resume: "Resume",
  notDone: (reason) => `That did not work. ${reason}`,
  noAnswer: "The program did not answer.",
  recording: (s, video) => `REC ${video ? "VIDEO " : ""}${minutes(s)}`,
  recordingOwn: (s, faces, video) =>
    `Recording this camera${video ? " with video" : ""} ${minutes(s)}, ${faces === 1 ? "1 face" : `${faces} faces`}`,
  recordingOn: ({ name, video }) => `Recording to ${name}: ${video ? "numbers and video" : "numbers only, no pictures"}.`,
  recordingOff: (rows) => `Recorded ${rows} rows. Download them with CSV in the session panel.`,
  recorded: (s, people) => `Recorded ${minutes(s)}, ${TEXT.sessions.people(people)}.`,
  recordingVideoBroke: (reason) => `The recording goes on without video: ${reason}.`,
  recordNot: {
    images: "images are not recorded; Save JSON keeps what was found",
    files: "files are not recorded; their tables have everything",
  },
  notRecorded: "There is no picture to record yet.",
  recordingBroke: (reason) => `The recording has stopped: ${reason}.`,
  video: {
    saving: "SAVING VIDEO",
    failed: "VIDEO NOT SAVED",
    broke: (reason) => `The video is no longer saved: ${reason}.`,
    stored: "The program's own source is saved there as a video; nothing else is stored.",
    storedOnce: (reason) => `The program's own source was saved there as a video until saving failed: ${reason}.`,
    recorded: "The program's own source is being recorded with video; nothing else is stored.",
    notStored: "They are not stored.",
  },
  privacyOn:
    "Privacy mode is on: faces are pixelated for all viewers and in everything that is saved. A frame without a " +
    "detected face is pixelated as a whole.",
  privacyLifted: "Privacy mode was lifted: faces are visible for all viewers, and in what is saved from now on.",
  privacyLocked: "locked when the program was started, and cannot be lifted here",
  lift: {
    title: "Show faces to everybody?",
    text: [
      "Privacy mode is for everybody. If you lift it, faces become visible on all pages and in video that is saved, " +
        "from now on. All pages will say so.",
    ],
    yes: "Show faces",
    no: "Keep privacy mode",
  },
  consent: {
    title: "Before the first recording",
    text: [
      "Record only people who know about it and agree. A recording holds numbers for each face: where it is, and which " +
        "expressions it shows. Such data about people may be protected by law.",
      "In the European Union, AI must not infer emotions of people at work or in schools, universities and other " +
        "education, except for medical or safety reasons. Consent does not change that. (Article 5(1)(f), Regulation " +
        "(EU) 2024/1689, the AI Act.)",
    ],
    yes: "They know and agree: record",
    no: "Do not record",
  },
  heatSource: "Grad-CAM is available for the program's own source only.",
  landmarksPrivate: "Landmarks are not shown in privacy mode.",
  landmarksImages: "Landmarks appear in images that are opened from now on.",
  presentEnd: "Leave full screen",
  smallWindowNone: "There is no picture for a small window yet.",
  heatBusy: "Grad-CAM: computing the first heat map …",
  heatNone: (reason) => `Grad-CAM: ${reason}`,

  steps: {
    camera: "Use my camera",
    again: "Play again",
    reopen: "Try again",
    retry: "Try again",
    sources: "Choose another source",
  },

  outputs: {
    states: { connecting: "connecting", connected: "connected", waiting: "waiting", failed: "failed" },
    counts: (sent, dropped) => `, ${sent} sent${dropped ? `, ${dropped} dropped` : ""}`,
  },

  sources: {
    opening: (name) => `Opening ${name} …`,
    list: "The sources cannot be listed: the program did not answer.",
    granted: ({ width, height }) => `The camera gives ${width} × ${height}.`,
    files: (shown, all) => (shown === all ? `${all}` : `${shown} of ${all}`),
  },

  camera: {
    name: "This browser's camera",
    asking: "Allow this page to use the camera when the browser asks.",
    refused:
      "The browser does not let this page use the camera. Allow it in the browser's site settings (next to the " +
      "address), then try again.",
    none: "The browser finds no camera on this device. Plug one in, then try again.",
    busy: "The camera is in use by another program. Close that program, then try again.",
    insecure:
      "Browsers allow camera access only to pages opened as localhost or over HTTPS. Open Mien on this computer as " +
      "http://localhost, or put an HTTPS proxy in front of it.",
    gone: "The camera was disconnected.",
    crowded: "The program is busy. This camera resumes as soon as there is capacity.",
    other: (reason) => `The camera cannot be used: ${reason}`,
  },

  images: {
    working: (n) => (n === 1 ? "Analyzing the image …" : `Analyzing ${n} images …`),
    none: "Expected images or videos, found none.",
    bare: "No face detected in this image.",
    show: (name) => `Show ${name}`,
    unreadable: "The browser cannot display this image.",
  },

  files: {
    badge: (done, all) => `FILES ${done} of ${all}`,
    count: (done, all) => `${done} of ${all}`,
    title: (done, all) => `${done} of ${all} · Mien`,
    summary: (done, all) => (all ? `${done} of ${files(all)} done` : "No files yet"),
    left,
    mayTake: (s) => `, ${left(s)}`,
    isPaused: ", paused",
    reading: "Looking for images and videos …",
    finished: (n) => `${files(n)} analyzed.`,
    leftOut: (names) =>
      `${files(names.length)} left out, neither images nor videos: ${some(names)}.`,
    unsentLost: (names) =>
      `${files(names.length)} had not been sent when the page was reloaded: ${some(names)}. Add them again.`,
    linkLost: "The connection to Mien is lost. Sending continues by itself when the program answers again.",
    gone: "The program no longer has this file, as after a restart. Add it again.",
    resultsGone:
      "The program no longer has the pictures, reports and tables of some files, as after a restart. What this list " +
      "shows of them stays until you close the page.",
    unreadable: "The file can no longer be read: it was changed, moved or deleted.",
    notLoaded: "This part of the page could not be loaded. Is the program still running?",
    states: {
      unsent: "to be sent",
      sending: "sending",
      lost: "not sent completely: add this file again to continue",
      waiting: "waiting",
      analyzing: "analyzing",
      paused: "paused",
      linkLost: "waiting for the connection",
      noRoom: "to be sent when there is room: others are analyzed first",
      noPlace: "to be sent when results are removed: the program keeps no more",
    },
    sent: (sent, all) => `${megabytes(sent)} of ${megabytes(all)}`,
    rate: (fps) => `${Math.round(fps)} frames/s`,
    pause: (name) => `Pause ${name}`,
    resume: (name) => `Resume ${name}`,
    cancel: (name) => `Cancel ${name}`,
    pauseAll: "Pause all",
    resumeAll: "Resume all",
    queueEmpty: "Nothing is waiting. Drop images, videos or folders here, or add them above.",
    queueDone: "All files are done. Drop more here, or add them above.",
    clearAsk: "Remove all results from this list and from the program? Files in the queue stay.",
    rows: (n) => (n === 1 ? "1 row" : `${n} rows`),
    page: (first, last, all) => `${first} to ${last} of ${all}`,
    previous: "Previous",
    next: "Next",
    columns: {
      picture: "Picture",
      name: "File",
      face: "Face",
      expression: "Expression",
      confidence: "Confidence",
      shares: "Shares",
      seen: "Seen",
      quality: "Quality",
      links: "More",
    },
    ofTime: (share) => `${percent(share)} of the time`,
    kinds: { unsure: "unsure", none: "no face", failed: "failed" },
    report: "Report",
    reportOf: (name) => `Report of ${name}`,
    retry: "Try again",
    retryOf: (name) => `Try again: ${name}`,
    close: "Close this message",
  },

  sessions: {
    date: (s) => new Date(1000 * s).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }),
    count: (n) => (n === 1 ? "1 session" : `${n} sessions`),
    facts: ({ name, began, length_s: length, people, source, bytes }) =>
      [
        name == null ? null : TEXT.sessions.date(began),
        length == null ? null : minutes(length),
        people == null ? null : TEXT.sessions.people(people),
        source === "browser" ? "a browser's camera" : null,
        bytes < 5e4 ? null : megabytes(bytes),
      ].filter(Boolean).join(" · "),
    people: (n) => (n === 0 ? "nobody" : n === 1 ? "1 person" : `${n} people`),
    deletion: (name, bytes) => ({
      title: "Delete this session?",
      text: [`${name}, ${bytes < 5e4 ? "less than 0.1 MB" : megabytes(bytes)}. All its files are deleted, and cannot be restored.`],
      yes: "Delete",
      no: "Keep it",
    }),
    deleted: (name) => `${name} is deleted.`,
  },

  ago: (s) => (s < 0.5 ? "now" : `${Math.round(s)} s ago`),
  lineOf: (label) => `Show or hide ${label}`,
  noHistory: "No data yet: no face has been detected.",
  awayAt: (when) => `${when}: face not detected`,
  valuesAt: (when, values) => `${when}: ${values.map(([label, share]) => `${label} ${percent(share)}`).join(", ")}`,
  rareSteps: new Map([
    [0, "as often as people see them"],
    [0.5, "more often"],
    [1, "as often as others"],
  ]),
  rareTrained: "as calibrated",
  detectors: { auto: "auto (haar, and a network for what it misses)" },
  foundBy: (detector) => `Found by the detector ${detector}`,
  allFaces: "All faces",
  more: (n) => `and ${n} more faces, seen for shorter times`,

  page: {
    faces: "Faces",
    waiting: "Waiting for the picture …",
    stage: "Live picture",
    picture: "Picture with a bounding box, an expression and a percentage for each face",
    fps: "Frames analyzed per second",
    latency:
      "Milliseconds from receiving a frame until its picture is ready, without camera and network. For this " +
      "browser's camera: from capturing a frame until its result arrives.",
    viewers: "Viewers",
    noFace: "NO FACE",
    privacyBadge: "PRIVACY",
    actions: "Actions",
    wordSave: "Save",
    wordSmallWindow: "Pop out",
    wordPrivacy: "Privacy",
    pause: "Pause",
    save: "Save the picture",
    record: "Record",
    privacy: "Privacy mode",
    mirror: "Mirror",
    heat: "Grad-CAM",
    present: "Present",
    presentEnd: "Leave full screen",
    smallWindow: "Pop out: a small window above all others",
    strips: "Faces in the picture",
    heatLeast: "supports the label little",
    heatMost: "most",
    landmarks: "Landmarks",
    help: "Help",
    source: "Source",
    sourceProgram: "For all viewers",
    sourceHere: "In this browser only",
    sourceFiles: "Files",
    sourceUrl: "Address of a network camera or video",
    open: "Open",
    ownCamera: "Use my camera",
    camera: "Camera",
    cameraSize: "Picture",
    size480: "480p, fastest",
    size720: "720p",
    size1080: "1080p, for distant faces",
    cameraMirror: "Mirror my camera",
    cameraUnnamed: "If there are several cameras, you can choose one here as soon as you have allowed the first.",
    sourceNone: "No camera is connected to the computer that runs Mien.",
    lookAgain: "Look again",
    sourceCameras: "Cameras",
    fileFilter: "Filter by name",
    retry: "Try again",
    nextStep: "What you can do",
    ownImages: "Images or videos from this device …",
    ownFolder: "A folder from this device …",
    ownImagesHint: "or drop them on the page; more than 16 images, videos and folders are queued",
    sessions: "Sessions",
    sessionsNone: "Nothing recorded yet. Press r on the live page.",
    sessionsNotice: "Sessions are folders on the computer that runs Mien, and are not sent anywhere else.",
    sessionRunning: "RECORDING",
    sessionName: "Name of the session",
    sessionSave: "Save",
    sessionKeep: "Cancel",
    parquet: "Parquet",
    json: "JSON",
    report: "Report",
    video: "Video",
    rename: "Rename",
    delete: "Delete",
    keepVideo: "keep video too",
    keepVideoHint: "Keep the pictures of recordings too, with faces pixelated while privacy mode is on",
    filesOpen: "Show the queue and its results",
    files: "Files",
    filesAdd: "Add files …",
    filesFolder: "Add a folder …",
    queue: "Queue",
    queuePages: "Pages of the queue",
    cancelAll: "Cancel all",
    results: "Results",
    resultPages: "Pages of the results",
    resultsNone: "A row for each face appears here as soon as the first file is analyzed.",
    filter: "Rows to show; none chosen: all",
    filesStored:
      "Files are stored only until they are analyzed, results until you remove them, the program ends, or nobody has " +
      "used them for an hour.",
    csvAll: "CSV of all",
    clear: "Remove results",
    drop: "Drop images, videos or folders here to analyze them",
    peopleHint:
      "An estimate: the network learned from the votes of ten people about each training image. Unlike the percentage, " +
      "it does not depend on how often rare expressions are expected.",
    threshold: "Unsure below",
    thresholdName: "Confidence below which a label counts as unsure, in percent",
    timeline: "Last 60 s",
    timelineCursor: "Time within the last 60 seconds",
    session: "Session",
    sessionNone: "The share of time of each expression appears here once a face is detected.",
    csv: "CSV",
    csvName: "Download the recording as CSV",
    imageTools: "This image",
    savePng: "Save picture",
    saveJson: "Save JSON",
    back: "Back to live",
    notice: "Pictures are analyzed on the computer that runs Mien.",
    rare: "Rare expressions:",
    rareName: "How often rare expressions are expected, for all viewers",
    detectorName: "Face detector, for all viewers",
    outputs: "Live outputs:",
    caveat: "A face shows an expression, not what a person feels.",
    card: "What this can’t tell",
    close: "Close",
    helpHere: "In this browser only",
    helpAll: "For all viewers",
    helpPause: "pause and resume the picture",
    helpSave: "save the picture as PNG, as displayed",
    helpMirror: "mirror the picture",
    helpHeat: "Grad-CAM: which parts of a face support its label",
    helpLandmarks: "landmarks of each face",
    helpPresent: "present: full screen, with one large strip for each face; Escape or f leaves it",
    helpSmallWindow: "the picture in a small window above all others",
    helpHelp: "show this help",
    helpThreshold: "slider",
    helpThresholdText: "minimum confidence for a label to be shown",
    helpOwn: "source menu",
    helpOwnText: "this browser's camera, images, videos and folders: visible to you only",
    helpRecord: "record faces and probabilities as CSV, without pictures",
    helpPrivacy: "privacy mode: pixelate faces, also in everything that is saved",
    helpSource: "source menu",
    helpSourceText: "demo, cameras, files, addresses",
    helpNotice: "Pictures are analyzed on the computer that runs Mien and are not sent anywhere else.",
    helpCaveat:
      "A recording contains numbers only. A face shows an expression, not what a person feels, thinks or intends: do " +
      "not base decisions about people on it.",
    or: "or",
    space: "space",
    shortcuts: "Enable these keys on this page",
  },
};
