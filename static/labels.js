// Where the labels of faces lie in a picture, so that none hides another: the rules of mien/images/label_placement.py,
// which explains the constants; a test compares both.

const HEIGHT_SHARE = 0.022;
const MIN_PX = 14;
const MAX_PX = 48;
const INSIDE_SHARE = 3;

/** Size of the labels' font in a stage of this height. textScale: by how much the user has enlarged texts. */
export const fontSize = (height, textScale = 1) => Math.min(MAX_PX, Math.max(MIN_PX * textScale, HEIGHT_SHARE * height));

/**
 * Place the labels one after the other. labels: [{box, sizes}], sizes: [w, h] of the whole text, then of the number.
 * lastSlots: for each label, its `slot` in the previous frame, if known: it moves back to a better one only when there is
 * some room around it, so that it does not jump to and fro. Returns [{x, y, w, h, form, slot}], form an index of sizes.
 */
export function placeLabels(labels, width, height, lastSlots = []) {
  const placed = [];
  labels.forEach(({ box, sizes }, index) => {
    const others = labels.filter((each, i) => i !== index).map((each) => each.box);
    const slots = sizes.flatMap((size, form) => slotsOf(box, size, form, width, height));
    const last = lastSlots[index] ?? Infinity;
    const isFree = (slot, taken) => !taken.some((each) => overlaps(slot, each, slot.slot < last && last < Infinity ? slot.h / 2 : 0));
    const number = sizes.length - 1;
    placed.push(
      slots.find((slot) => isFree(slot, [...placed, ...others])) ??
      slots.find((slot) => slot.form === number && isFree(slot, placed)) ??
      { ...insidePicture(box.x, box.y - sizes[number][1], sizes[number], width, height), form: number, slot: Infinity },
    );
  });
  return placed;
}

/** Where a label of this size may lie in the picture, the best first: above, below, inside. */
function slotsOf(box, size, form, width, height) {
  const h = size[1];
  const tops = [box.y - h, box.y + box.h];
  if (box.h >= (form ? h : INSIDE_SHARE * h)) tops.push(Math.max(0, box.y), Math.min(height, box.y + box.h) - h);
  return tops
    .map((top, i) => ({ ...insidePicture(box.x, top, size, width, height), top, form, slot: 4 * form + i }))
    .filter(({ top }) => top >= 0 && top <= height - h);
}

const insidePicture = (x, y, [w, h], width, height) =>
  ({ x: Math.max(0, Math.min(x, width - w)), y: Math.max(0, Math.min(y, height - h)), w, h });

/** Whether two rectangles share an area; room: at least as far apart if they do not. */
const overlaps = (one, other, room) =>
  one.x < other.x + other.w + room && other.x < one.x + one.w + room &&
  one.y < other.y + other.h + room && other.y < one.y + one.h + room;
