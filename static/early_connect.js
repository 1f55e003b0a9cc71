// Requests the picture stream while the page's modules are still loading; program_stream.js takes it over. Also tells
// the user if the browser is too old for those modules.

if (!document.hidden && new URLSearchParams(location.search).get("view") !== "bars") {
  const name = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const connection = new AbortController();
  const answer = fetch(`api/frames?viewer=${name}`, { signal: connection.signal, cache: "no-store" });
  answer.catch(() => {}); // handled where the stream is taken over
  window.earlyConnection = { name, connection, answer };
}

// The newest browser features that the page uses; the README names the versions.
const isTooOld = !("any" in AbortSignal) || !("popover" in HTMLElement.prototype);
if (isTooOld) addEventListener("DOMContentLoaded", () => (document.getElementById("too-old").hidden = false));
