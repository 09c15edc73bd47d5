// A session's page while it is open: changes come in as rendered pieces, forms go out without a reload.

import { localise, tick } from "./times.js";

const session = document.getElementById("session");
const live = document.getElementById("live");
const said = document.getElementById("said");
const timeline = document.getElementById("timeline");
const nearEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 160;

function say(text) {
  said.textContent = text;
  said.hidden = !text;
}

// Incoming

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  localise(template.content);
  return [...template.content.children];
}

function place(item) {
  const old = document.getElementById(item.id);
  if (old) {
    keepOpen(old, item);
    old.replaceWith(item);
    return;
  }
  const at = Number(item.dataset.at);
  let before = timeline.lastElementChild;
  while (before && Number(before.dataset.at) > at) before = before.previousElementSibling;
  before ? before.after(item) : timeline.prepend(item);
}

function keepOpen(old, fresh) {
  const was = old.querySelectorAll("details");
  fresh.querySelectorAll("details").forEach((details, index) => {
    if (was[index]?.open) details.open = true;
  });
}

function replacePart(part) {
  const old = document.getElementById(part.id);
  if (!old || old.isEqualNode(part)) return;
  if (part.id === "queue" && old.contains(document.activeElement)) {
    document.activeElement.addEventListener("blur", () => replacePart(part), { once: true });
    return;
  }
  keepOpen(old, part);
  const stale = part.id === "tabs" && old.dataset.version !== part.dataset.version;
  old.replaceWith(part);
  if (part.id === "tabs") markTab();
  if (stale && session.dataset.tab !== "timeline") renewPanel();
}

function markTab() {
  const tab = document.querySelector(`#tabs [data-tab="${session.dataset.tab}"]`);
  tab.setAttribute("aria-current", "page");
  const strip = tab.parentElement;
  strip.scrollLeft = tab.offsetLeft + tab.offsetWidth - strip.offsetLeft - strip.clientWidth;
}

async function renewPanel() {
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const panel = page.getElementById("panel");
  localise(panel);
  document.getElementById("panel").replaceWith(panel);
}

function change(message) {
  const follow = timeline && nearEnd();
  for (const element of parse(message.data)) {
    if (!("at" in element.dataset)) replacePart(element);
    else if (timeline) place(element);
  }
  session.dataset.seq = message.lastEventId;
  if (follow) scrollTo(0, document.documentElement.scrollHeight);
}

function show(text) {
  const follow = nearEnd();
  live.textContent = text;
  live.hidden = !text || !timeline;
  if (follow && text) scrollTo(0, document.documentElement.scrollHeight);
}

function tokens(message) {
  const { offset, text } = JSON.parse(message.data);
  const had = live.textContent;
  if (offset === had.length) show(had + text);
  else if (offset < had.length) show(had.slice(0, offset) + text);
}

function listen() {
  const source = new EventSource(`${session.dataset.events}?after=${session.dataset.seq}`);
  source.addEventListener("change", change);
  source.addEventListener("live", (message) => show(JSON.parse(message.data).text));
  source.addEventListener("tokens", tokens);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

// Outgoing

async function send(address, form, button) {
  const data = new FormData(form, button);
  if (button) button.disabled = true;
  try {
    const response = await fetch(address, { method: "POST", body: new URLSearchParams(data), headers: { Accept: "application/json" } });
    if (response.ok) return true;
    const type = response.headers.get("content-type") ?? "";
    say(type.includes("json") ? (await response.json()).detail : "That did not work. Reload the page and try again.");
  } catch {
    say("The network is away. Nothing was sent; try again in a moment.");
  } finally {
    if (button) button.disabled = false;
  }
  return false;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.id !== "act" && form.id !== "composer") return;
  event.preventDefault();
  say("");
  const done = await send(button?.getAttribute("formaction") ?? form.action, form, button);
  if (done && form.id === "composer") form.reset();
});

document.getElementById("text")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) event.target.form.requestSubmit();
});

// Tool calls show what they did when they are unfolded

document.addEventListener("toggle", async (event) => {
  const details = event.target;
  if (!details.open || !details.dataset.load) return;
  const response = await fetch(details.dataset.load).catch(() => null);
  if (!response?.ok) return;
  const [body] = parse(await response.text());
  details.replaceChildren(details.querySelector("summary"), body);
}, true);

localise(document);
markTab();
tick();
listen();
