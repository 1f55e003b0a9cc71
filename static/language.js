// The choice of the language: remembered in this browser, for all pages, which then are loaded in that language.

import { $ } from "./dom.js";
import { LANGUAGE } from "./texts.js";

const MAX_AGE_S = 365 * 24 * 3600;
const ROOT = new URL("..", import.meta.url).pathname; // of this program's pages

/** confirm(): resolves to whether the page may be loaded again. */
export function bindLanguage(confirm = async () => true) {
  $("language").addEventListener("change", async () => {
    const { value } = $("language");
    $("language").value = LANGUAGE;
    if (!(await confirm())) return;
    document.cookie = `mien-language=${value}; path=${ROOT}; max-age=${MAX_AGE_S}; samesite=lax`;
    const address = new URL(location);
    address.searchParams.delete("lang"); // it would take precedence
    history.replaceState(null, "", address);
    location.reload();
  });
}
