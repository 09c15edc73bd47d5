// Follows a build while it runs.

import { localise } from "./times.js";

const REFRESH_MILLISECONDS = 2000;

async function refresh() {
  const build = document.getElementById("build");
  if (build.dataset.state !== "building" || document.hidden) return;
  const address = new URL(location.href);
  address.searchParams.set("part", "1");
  try {
    const response = await fetch(address);
    if (!response.ok || response.redirected) return;
    const template = document.createElement("template");
    template.innerHTML = await response.text();
    localise(template.content);
    const before = build.querySelector(".output");
    const follows = before.scrollTop + before.clientHeight >= before.scrollHeight - 4;
    const kept = before.scrollTop;
    build.replaceWith(template.content);
    const after = document.querySelector("#build .output");
    after.scrollTop = follows ? after.scrollHeight : kept;
  } catch {
    // The network is away for a moment; the next round tries again.
  }
}

localise(document);
setInterval(refresh, REFRESH_MILLISECONDS);
document.addEventListener("visibilitychange", refresh);
