// Keeps the list fresh while somebody looks at it, and has a sandbox wait once they are about to ask.

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

const AGAIN_MILLISECONDS = 60000;
const warmed = new Map();

function warm(form) {
  const { csrf, repository } = Object.fromEntries(new FormData(form));
  if (Date.now() - (warmed.get(repository) ?? -AGAIN_MILLISECONDS) < AGAIN_MILLISECONDS) return;
  warmed.set(repository, Date.now());
  const body = new URLSearchParams({ csrf, repository });
  // Whether it worked is nobody's concern: what does not wait is made when it is needed.
  fetch("/warm", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => {});
}

const composer = document.querySelector("form.composer.new");
for (const moment of ["focusin", "change"]) composer.addEventListener(moment, () => warm(composer));

localise(document);
refresh();
setInterval(refresh, REFRESH_MILLISECONDS);
document.addEventListener("visibilitychange", refresh);
