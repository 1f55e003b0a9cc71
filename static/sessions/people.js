// The people of a session: what each shows at this moment, their names, and which faces are one person.

import { $, cloneOf, setText } from "../dom.js";
import { TEXT } from "../texts.js";
import { fillShares, newShares, SHOWN } from "../shares.js";

/** Faces grouped to people, by their edits: [{first, faces, name}], the lowest face first. */
export function peopleOf(faces, { names, merged }) {
  const groups = new Map();
  for (const face of faces) {
    const first = merged[face] ?? face;
    groups.set(first, [...(groups.get(first) ?? []), face]);
  }
  const nameOf = (own) => own.map((face) => names[face]).find(Boolean); // faces that were named before they were merged
  return [...groups].map(([first, own]) => ({ first, faces: own, name: nameOf(own) ?? TEXT.face(first) }));
}

/** Replace the items of a list; the focus goes to the same control of the item at its place, else to `otherwise`. */
export function refill(list, items, otherwise) {
  const focused = document.activeElement;
  const at = [...list.children].findIndex((item) => item.contains(focused));
  list.replaceChildren(...items);
  if (at < 0) return;
  const controls = [...(items[Math.min(at, items.length - 1)]?.querySelectorAll("button, select") ?? [])].filter(({ hidden }) => !hidden);
  const isSame = ({ className }) => className === focused.className && className !== "marker-remove"; // nor removes the next
  (controls.find(isSame) ?? controls[0] ?? otherwise).focus();
}

/** What is known of the resting faces of a person: how many frames each is the mean of. */
const restOf = ({ faces }, baselines) =>
  baselines.filter(({ face }) => faces.includes(face)).map(({ frames }) => TEXT.replay.rest(frames)).join(" ");

/** Show the list. edit: called with edits. ask: asks for a word, with a title and the present word. */
export function showPeople(people, { persons, baselines }, { edit, ask }) {
  const seconds = new Map((persons ?? []).map((person) => [person.face, person.seconds]));
  refill($("people"), people.map((person) => {
    const item = cloneOf("person");
    item.dataset.first = person.first;
    setText(item.querySelector(".person-name"), person.name);
    const list = document.createElement("ul");
    newShares(item.querySelector(".strip-bar"), list);
    fillShares(item.querySelector(".strip-bar"), list, sharesOf(seconds.get(person.first)));
    item.querySelector(".strip-bar").title = [...list.children].filter(({ hidden }) => !hidden).map((each) => each.textContent).join(", ");
    setText(item.querySelector(".person-rest"), restOf(person, baselines));
    const rename = item.querySelector(".person-rename");
    rename.setAttribute("aria-label", TEXT.replay.rename(person.name));
    rename.addEventListener("click", async () => {
      const word = await ask(TEXT.replay.rename(person.name), person.name === TEXT.face(person.first) ? "" : person.name);
      if (word !== null) edit([{ do: "person", face: person.first, name: word }]);
    });
    fillMerge(item, person, people, edit);
    const split = item.querySelector(".person-split");
    split.hidden = person.faces.length < 2;
    split.addEventListener("click", () => edit([{ do: "split", faces: person.faces }]));
    return item;
  }), $("scrub"));
}

/** Choosing another person offers a button, which merges both. */
function fillMerge(item, person, people, edit) {
  const [select, join] = ["merge", "join"].map((name) => item.querySelector(`.person-${name}`));
  const others = people.filter(({ first }) => first !== person.first);
  select.hidden = others.length === 0;
  select.setAttribute("aria-label", TEXT.replay.merge(person.name));
  select.append(new Option(TEXT.replay.sameAs, ""), ...others.map(({ first, name }) => new Option(name, first)));
  select.addEventListener("change", () => (join.hidden = !select.value)); // each arrow key changes it
  join.addEventListener("click", () => {
    edit([{ do: "merge", faces: [person.first, Number(select.value)].sort((one, other) => one - other) }]);
  });
}

function sharesOf(seconds) {
  if (!seconds) return null;
  const total = SHOWN.reduce((sum, name) => sum + seconds[name], 0);
  return total ? Object.fromEntries(SHOWN.map((name) => [name, seconds[name] / total])) : null;
}

/** What each person shows in a frame; nothing for those who are not there. */
export function showLabels(people, faces) {
  for (const { first, faces: own } of people) {
    const item = $("people").querySelector(`[data-first="${first}"]`);
    const face = faces.find(({ face: number }) => own.includes(number));
    const label = item?.querySelector(".person-label");
    if (!label) continue;
    const text = face ? TEXT.shareOf(TEXT.labelOf(face.label, face.unsure), face.probabilities[face.label]) : "";
    setText(label, text);
    setText(item.querySelector(".person-change"), face?.rest ? changesOf(face.rest) : "");
  }
}

/** The two expressions that differ most from the resting face. */
function changesOf(rest) {
  const most = Object.entries(rest).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one)).slice(0, 2);
  return TEXT.replay.change(most.map(([name, change]) => `${TEXT.expression(name)} ${TEXT.rest.change(change)}`));
}
