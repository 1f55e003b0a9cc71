// What the user has chosen for this browser's own camera, remembered in this browser.

const STORE = "mien.choices"; // in localStorage

/** device: id of the camera, null for the browser's choice. size: one of SIZES in browser_camera.js. */
export const choices = { device: null, size: "480", mirror: true, address: "" };

try {
  for (const [name, value] of Object.entries(JSON.parse(localStorage.getItem(STORE)) ?? {})) {
    if (name in choices && typeof value === (name === "mirror" ? "boolean" : "string")) choices[name] = value;
  }
} catch {} // the browser lets this page store nothing, or something else is stored there

export function remember(changes) {
  Object.assign(choices, changes);
  try {
    localStorage.setItem(STORE, JSON.stringify(choices));
  } catch {} // then they hold until the page is closed
}
