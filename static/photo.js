// A single image as the program's source: shown as a photo, without rates, timeline and session.

let numbers = null; // by id, of the faces of the photo; null for any other source
let shownName = null;

/** Whether a source is a single image. */
export const isPhoto = ({ kind }) => kind === "image";

/** The number of a face on display: the faces of a photo are counted from 1, others keep their numbers of the program. */
export function numberOf(id) {
  if (!numbers) return id;
  if (!numbers.has(id)) numbers.set(id, numbers.size + 1);
  return numbers.get(id);
}

/** A state with the numbers that are displayed. */
export function numbered(state) {
  const { source, faces } = state;
  if (!isPhoto(source)) numbers = null;
  else if (!numbers || source.name !== shownName) numbers = new Map();
  shownName = source.name;
  return numbers ? { ...state, faces: faces.map((face) => ({ ...face, id: numberOf(face.id) })) } : state;
}
