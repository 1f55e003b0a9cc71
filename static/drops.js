// Files that are dropped on the page or chosen: a few images are shown at once, all else goes to the queue.

import { $, note } from "./dom.js";
import { TEXT } from "./texts.js";

const MAX_IMAGES = 16; // more are queued

/** For systems that do not know the type of a file; the program judges by its content. */
const VIDEO_NAME = /\.(3gp|asf|avi|flv|gif|m2ts|m4v|mjpeg|mjpg|mkv|mov|mp4|mpeg|mpg|mts|mxf|ogv|webm|wmv)$/i;
const IMAGE_NAME = /\.(avif|bmp|heic|heif|jfif|jpeg|jpg|png|tif|tiff|webp)$/i;

export const isVideo = ({ type, name }) => type.startsWith("video/") || (type === "" && VIDEO_NAME.test(name));
export const isImage = ({ type, name }) =>
  (type.startsWith("image/") && type !== "image/svg+xml") || (type === "" && IMAGE_NAME.test(name));

let page = null; // {onImages(files), onQueue(items), isQueueOpen()}

/** items of onQueue: {file, name}, where the name contains the folders below the chosen one, or {folder}. */
export function bindDrops(callbacks) {
  page = callbacks;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    $("drop").hidden = true;
    accept([...event.dataTransfer.items].filter(({ kind }) => kind === "file").map(droppedItem));
  });
  for (const id of ["files", "folder"]) {
    $(id).addEventListener("change", () => {
      accept([...$(id).files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      $(id).value = ""; // so that the same file can be chosen again
    });
  }
}

/** Must be called while the event is handled: later its items are empty. */
function droppedItem(item) {
  const entry = item.webkitGetAsEntry?.();
  if (entry?.isDirectory) return { folder: entry };
  const file = item.getAsFile();
  return { file, name: file.name };
}

function accept(items) {
  const images = items.filter(({ file }) => file && isImage(file));
  const isFolder = items.some(({ folder, name }) => folder || name.includes("/"));
  const hasVideo = items.some(({ file }) => file && isVideo(file));
  if (page.isQueueOpen() || isFolder || hasVideo || images.length > MAX_IMAGES) return page.onQueue(items);
  if (!images.length) return note(TEXT.images.none);
  const others = items.filter((item) => !images.includes(item)).map(({ name }) => name);
  if (others.length) note(TEXT.files.leftOut(others));
  return page.onImages(images.map(({ file }) => file));
}
