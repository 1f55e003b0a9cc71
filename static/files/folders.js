// The images and videos among what was dropped or chosen, with those in folders.

import { isImage, isVideo } from "../drops.js";

const byName = new Intl.Collator(undefined, { numeric: true }).compare;

/**
 * Sort what was dropped into media, [{file, name}] in the order of their names, and the names of all other files.
 * Hidden files in folders, such as .DS_Store, are neither. items: as bindDrops hands them over.
 */
export async function findMedia(items) {
  const found = [];
  for (const item of items) {
    if (item.folder) await readFolder(item.folder, `${item.folder.name}/`, found);
    else if (!isHidden(item.name)) found.push(item);
  }
  const isMedium = ({ file }) => file && (isImage(file) || isVideo(file));
  return {
    media: found.filter(isMedium).sort((a, b) => byName(a.name, b.name)),
    others: found.filter((item) => !isMedium(item)).map(({ name }) => name),
  };
}

const isHidden = (name) => name.includes("/") && /(^|\/)\./.test(name);

async function readFolder(folder, path, found) {
  const reader = folder.createReader();
  for (;;) {
    const entries = await entriesOf(reader); // at most 100 at a time
    if (!entries.length) return;
    for (const entry of entries) {
      const name = path + entry.name;
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) await readFolder(entry, `${name}/`, found);
      else found.push({ file: await fileOf(entry), name });
    }
  }
}

/** None if the folder cannot be read: its other files are still of use. */
const entriesOf = (reader) => new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));

const fileOf = (entry) => new Promise((resolve) => entry.file(resolve, () => resolve(null)));
