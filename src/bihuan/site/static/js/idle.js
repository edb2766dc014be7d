// Shared computers: after minutes without a key or a touch, in any tab, the page locks itself.
// Requests that a page makes by itself say for how long nobody touched it, so that they are no sign of life.
const KEY = "touched";
const limit = Number(document.body.dataset.idle) * 1000;
let here = Date.now();

function touched() {
  const now = Date.now();
  if (now - here < 1000) return;
  here = now;
  try { localStorage.setItem(KEY, String(now)); } catch (_) { /* Then this tab counts by itself. */ }
}
function last() {
  try { return Math.max(here, Number(localStorage.getItem(KEY)) || 0); } catch (_) { return here; }
}
for (const kind of ["keydown", "pointerdown", "scroll", "touchstart"]) addEventListener(kind, touched, { passive: true, capture: true });
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["Bihuan-Idle"] = String(Math.round((Date.now() - last()) / 1000));
});
if (limit > 0) {
  setInterval(async () => {
    if (Date.now() - last() < limit) return;
    const after = location.pathname + location.search;
    try { await fetch("/lock", { method: "POST", headers: { "X-CSRFToken": document.body.dataset.csrf }, redirect: "manual" }); } catch (_) { /* The server locks by itself. */ }
    location.replace(`/unlock?next=${encodeURIComponent(after)}`);
  }, 5000);
}
// A page that the browser kept in memory is not shown again without asking: it may be somebody else's by now.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
