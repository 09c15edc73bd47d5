// Keeps the list fresh while somebody looks at it.

import { localise } from "./times.js";

const REFRESH_MILLISECONDS = 4000;
let last = "";

async function refresh() {
  if (document.hidden) return;
  const address = new URL(location.href);
  address.searchParams.set("rows", "1");
  try {
    const response = await fetch(address);
    if (!response.ok || response.redirected) return;
    const html = await response.text();
    const rows = document.getElementById("rows");
    if (html === last || rows.contains(document.activeElement)) return;
    if (last) {
      const template = document.createElement("template");
      template.innerHTML = html;
      localise(template.content);
      rows.replaceWith(template.content);
    }
    last = html;
  } catch {
    // The network is away for a moment; the next round tries again.
  }
}

localise(document);
refresh();
setInterval(refresh, REFRESH_MILLISECONDS);
document.addEventListener("visibilitychange", refresh);
