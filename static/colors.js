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

export const INK = "#101418";

let themed = null;

/** Colors of lines, bars and texts in the current theme, read from the style sheet. */
export function theme() {
  if (!themed) {
    const style = getComputedStyle(document.documentElement);
    const named = ["line", "muted", "text", "panel", ...EXPRESSIONS];
    themed = Object.fromEntries(named.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  return themed;
}

/** Call back when the user changes between light and dark. */
export function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    themed = null;
    callback();
  });
}
