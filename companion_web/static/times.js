// Times in the reader's own zone; the server writes UTC for those without scripts.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function elapsed(since) {
  const seconds = Math.max(0, Math.floor((Date.now() - since) / 1000));
  if (seconds < 60) return `for ${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `for ${minutes} min ${seconds % 60} s` : `for ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if ("clock" in time.dataset) time.textContent = clock.format(moment);
    else if ("second" in time.dataset) time.textContent = second.format(moment);
    else if ("day" in time.dataset) time.textContent = day.format(moment);
    else if ("since" in time.dataset) time.textContent = elapsed(moment);
    else continue;
    time.title = moment.toLocaleString();
  }
}

export function tick() {
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-since]")) time.textContent = elapsed(new Date(time.dateTime));
  }, 1000);
}
