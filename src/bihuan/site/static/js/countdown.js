// Remaining times and the product's clock. The device's own clock is never believed: the page brings the server's
// time and the browser's steady counter (performance.now) carries it on; each answer of the server sets it right again.

const root = document.body;
let server = Number(root.dataset.now) * 1000;
let steady = performance.now();

export function now() {
  return server + performance.now() - steady;
}

function set(seconds) {
  const moment = Number(seconds) * 1000;
  if (!moment) return;
  server = moment;
  steady = performance.now();
  paint();
}

const words = root.dataset;

function span(milliseconds) {
  const total = Math.floor(Math.abs(milliseconds) / 60000);
  const days = Math.floor(total / 1440), hours = Math.floor((total % 1440) / 60), minutes = total % 60;
  const fill = (pattern) => pattern.replace("{d}", days).replace("{h}", hours).replace("{m}", minutes);
  return fill(days ? words.spanDays : hours ? words.spanHours : words.spanMinutes);
}

function put(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function paint() {
  const instant = now();
  for (const node of document.querySelectorAll("[data-due]")) {
    const left = Number(node.dataset.due) * 1000 - instant;
    const state = left < 0 ? "late" : left <= Number(words.soon) * 1000 ? "soon" : "calm";
    put(node.querySelector(".due-words"), (left < 0 ? words.late : words.left).replace("{t}", span(left)));
    if (!node.classList.contains("due-" + state)) {
      node.className = "due due-" + state;
      const use = node.querySelector("use");
      if (use) use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#" + { late: "alarm", soon: "hourglass", calm: "clock" }[state]));
      const row = node.closest("tr");
      if (row) {
        row.classList.toggle("is-late", state === "late");
        row.classList.toggle("is-soon", state === "soon");
      }
    }
  }
  const clock = document.querySelector("[data-clock]");
  if (clock) {
    // Asia/Shanghai has had no summer time since 1991: eight hours, whatever zone the device believes to be in.
    put(clock, new Date(instant + 8 * 3600000).toISOString().slice(11, 19));
  }
}

document.addEventListener("htmx:afterRequest", (event) => set(event.detail.xhr && event.detail.xhr.getResponseHeader("Bihuan-Now")));
document.addEventListener("htmx:afterSettle", paint);
document.addEventListener("visibilitychange", async () => {
  // The steady counter may have slept with the device.
  if (document.hidden || !words.clockUrl) return;
  try {
    const answer = await fetch(words.clockUrl, { cache: "no-store" });
    set(answer.headers.get("Bihuan-Now"));
  } catch (_) { /* Without a network the old count goes on; pages with live figures say that they are stale. */ }
});
paint();
setInterval(paint, 1000);
