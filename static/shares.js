// A strip with the share of time of each of the seven expressions, and of labels that were unsure.

import { EXPRESSIONS } from "./colors.js";
import { setText } from "./dom.js";
import { TEXT } from "./texts.js";

export const SHOWN = [...EXPRESSIONS, "unsure"];

const LEAST = 0.005; // smaller shares are not written

export function newShares(strip, list) {
  for (const name of SHOWN) {
    for (const [parent, tag] of [[strip, "span"], [list, "li"]]) {
      const element = document.createElement(tag);
      element.dataset.expression = name;
      parent.append(element);
    }
  }
}

/** shares: by name, 0 to 1; null if they are not known, or nobody was seen. */
export function fillShares(strip, list, shares) {
  SHOWN.forEach((name, i) => {
    const share = shares?.[name] ?? 0;
    strip.children[i].style.flexGrow = String(share);
    strip.children[i].hidden = share === 0;
    list.children[i].hidden = share < LEAST;
    setText(list.children[i], TEXT.shareOf(TEXT.expression(name), share));
  });
}
