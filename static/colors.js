// The seven expressions in fixed order, and the color of each.

export const EXPRESSIONS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"];

/** Colors on a picture, in both themes: light enough for dark text. The same as in mien/images/draw.py. */
export const ON_PICTURE = {
  angry: "#e86a17",
  disgust: "#1fb386",
  fear: "#d98ab8",
  happy: "#f0b42a",
  neutral: "#a8adb5",
  sad: "#4a9be0",
  surprise: "#6cc4f2",
};

/**
 * Dashes of lines in pixels; none: solid. Two lines differ in their dash, or their colors differ for color-blind people
 * too: a test computes it.
 */
export const DASHES = {
  angry: [9, 4],
  disgust: [9, 3, 2, 3],
  fear: [2, 3],
  happy: [],
  neutral: [],
  sad: [],
  surprise: [5, 3],
};

export const INK = "#101418";

let themed = null;

/** Colors of lines, bars and texts in the current theme, read from the style sheet. */
export function theme() {
  if (!themed) {
    const probe = document.body.appendChild(document.createElement("span"));
    probe.style.forcedColorAdjust = "none"; // with forced colors, every text has the same
    const named = ["line", "muted", "text", "panel", ...EXPRESSIONS];
    themed = Object.fromEntries(named.map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    }));
    probe.remove();
  }
  return themed;
}

/** Call back when the user changes between light, dark and forced colors. */
export function onThemeChange(callback) {
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", () => {
      themed = null;
      callback();
    });
  }
}
