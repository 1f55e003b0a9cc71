// Asks for the pictures while the page's modules are still on their way; program_stream.js takes over what comes. And
// says where the browser is too old for those modules.

if (!document.hidden) {
  const name = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const connection = new AbortController();
  const answer = fetch(`/api/frames?viewer=${name}`, { signal: connection.signal, cache: "no-store" });
  answer.catch(() => {}); // who takes it over hears of it
  window.first = { name, connection, answer };
}

// What browsers learned last of all that the page uses; the README names the versions.
const isTooOld = !("any" in AbortSignal) || !("popover" in HTMLElement.prototype);
if (isTooOld) addEventListener("DOMContentLoaded", () => (document.getElementById("too-old").hidden = false));
