// Small helps that every page may use. Each page also works without this file.
import "./countdown.js";
import "./undo.js";

const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];

// Light or dark, kept on this device.
$$("[data-theme-toggle]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (_) { /* Then for this page only. */ }
  });
});
// Large type, kept in a cookie, so that the next page comes large at once.
$$("[data-size-toggle]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement, large = root.dataset.size !== "large";
    if (large) root.dataset.size = "large"; else delete root.dataset.size;
    button.setAttribute("aria-pressed", String(large));
    document.cookie = `size=${large ? "large" : ""};path=/;max-age=${large ? 31536000 : 0};samesite=lax`;
  });
});
$$("[data-print]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => print()); });

// A table wider than the screen is moved by the arrow keys as well: whoever has no mouse must be able to stand on it.
function reach() {
  $$(".scroll").forEach((area) => {
    if (area.scrollWidth > area.clientWidth && !area.hasAttribute("tabindex")) area.tabIndex = 0;
  });
}
reach();
addEventListener("resize", reach);
document.addEventListener("htmx:afterSettle", reach);

// Menus close when one looks elsewhere.
document.addEventListener("click", (event) => {
  $$("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") $$("details.menu[open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); });
});

// A paragraph for a chat group: copied where the browser lets us (only over HTTPS), else selected for the thumb.
document.addEventListener("toggle", (event) => {
  if (event.target.matches("details.copy")) $("[data-copy]", event.target).hidden = false;
}, true);
document.addEventListener("click", async (event) => {
  const button = event.target.closest && event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  text.focus();
  text.select();
  let copied = false;
  try { await navigator.clipboard.writeText(text.value); copied = true; } catch (_) { copied = document.execCommand("copy"); }
  button.nextElementSibling.textContent = copied ? button.dataset.copied : button.dataset.byHand;
});
// What stood open before figures refreshed themselves stands open after it.
let open = [];
document.addEventListener("htmx:beforeSwap", (event) => { open = $$("details[id][open]", event.detail.target).map((box) => box.id); });
document.addEventListener("htmx:afterSettle", () => {
  open.forEach((id) => { const box = document.getElementById(id); if (box) box.open = true; });
  open = [];
});

// Selecting many lines: count, all of this page, a range with shift. Works on lines that htmx brings later.
let last = null;
function picks(form) { return $$("input[name=loop]", form); }
function count(form) {
  const boxes = picks(form), chosen = boxes.filter((box) => box.checked);
  const bar = $(".batch", form);
  if (bar) {
    bar.hidden = chosen.length === 0;
    $$("[data-picked]", bar).forEach((node) => { node.textContent = chosen.length; });
  }
  boxes.forEach((box) => box.closest("tr").classList.toggle("is-picked", box.checked));
  const all = $("[data-pick-all]", form);
  if (all) {
    all.checked = boxes.length > 0 && chosen.length === boxes.length;
    all.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
  }
}
document.addEventListener("click", (event) => {
  const box = event.target;
  if (!box.matches || !box.matches("input[name=loop]")) return;
  const form = box.form, boxes = picks(form);
  if (event.shiftKey && last && last.form === form) {
    const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
    boxes.slice(from, to + 1).forEach((other) => { other.checked = box.checked; });
  }
  last = box;
});
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form || !form.matches("[data-batch]")) return;
  if (event.target.matches("[data-pick-all]")) picks(form).forEach((box) => { box.checked = event.target.checked; });
  count(form);
});
$$("[data-batch]").forEach(count);
document.addEventListener("htmx:afterSettle", () => $$("[data-batch]").forEach(count));

// Telephone: the number is dialled by the telephone itself; meanwhile the person is held for this caller
// and the page with the answers opens, so that it is there when the call ends.
document.addEventListener("click", async (event) => {
  const link = event.target.closest && event.target.closest("a[data-hold]");
  if (!link) return;
  event.preventDefault();
  const token = $("body").dataset.csrf;
  try {
    const answer = await fetch(link.dataset.hold, { method: "POST", headers: { "X-CSRFToken": token }, keepalive: true });
    // Somebody else calls this person now, or has: the reason is shown and nothing is dialled.
    if (answer.status === 409) { refuse(link, (await answer.json()).sentence); return; }
  } catch (_) { /* No network: the call goes on; the answer can still be written down. */ }
  // A desk telephone that dials by itself may take the number and cancel the event.
  if (link.dispatchEvent(new CustomEvent("dial", { bubbles: true, cancelable: true, detail: link.href }))) location.href = link.href;
  if (!link.dataset.then) return;
  if (window.htmx && $("dialog.sheet") && matchMedia("(min-width: 55.01rem)").matches) htmx.ajax("GET", link.dataset.then, "#sheet");
  else setTimeout(() => { location.href = link.dataset.then; }, 600);
});
function refuse(link, sentence) {
  const note = document.createElement("p");
  note.className = "note warn";
  note.setAttribute("role", "alert");
  note.textContent = sentence;
  link.replaceWith(note);
}

// Who comes back from the telephone finds what to say and all answers on one screen; what was refused, its questions.
const called = $("[data-called]"), chosen = $(".outcomes > input:checked + label");
if (matchMedia("(max-width: 55rem)").matches && called && !$("[data-errors]")) called.scrollIntoView({ block: "start", behavior: "instant" });
if (chosen && $("[data-errors]")) chosen.scrollIntoView({ block: "nearest" });

// An answer that asks for more shows its questions: on a telephone they would open below the edge.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".outcomes > input[type=radio]")) return;
  const panel = $(`.panel.for-${event.target.value}`, event.target.closest(".outcomes")) || $(".panel.for-treatment", event.target.closest(".outcomes"));
  if (panel) requestAnimationFrame(() => panel.scrollIntoView({ block: "nearest", behavior: "instant" }));
});

// The sheet beside a list: links with hx-target="#sheet" open it; without htmx they are ordinary links.
const sheet = $("dialog.sheet");
if (sheet) {
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "sheet" && !sheet.open) sheet.showModal();
  });
  sheet.addEventListener("click", (event) => { if (event.target === sheet || event.target.closest("[data-close]")) sheet.close(); });
}

// Live figures: what could not be refreshed says so, by hatching and by words, until it is refreshed again.
function live(event) { return event.target.closest && event.target.closest("[data-live]"); }
for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(kind, (event) => { const area = live(event); if (area) area.classList.add("stale"); });
}
document.addEventListener("htmx:afterRequest", (event) => {
  const area = live(event);
  if (area && event.detail.successful) area.classList.remove("stale");
});

// No answer, or a broken one: what was asked for did not come, and the page says so. A form stays as it was; sending it
// again is harmless, its act has an id.
function say(form, kind, text) {
  let note = $("[data-said]", form);
  if (!text) { if (note) note.remove(); return; }
  if (!note) {
    note = document.createElement("p");
    note.dataset.said = "1";
    form.prepend(note);
  }
  note.className = `note ${kind}`;
  note.setAttribute("role", kind === "bad" ? "alert" : "status");
  note.textContent = text;
  note.scrollIntoView({ block: "nearest" });
}
function unanswered(form) {
  delete form.dataset.sent;
  say(form, "bad", document.body.dataset.failed);
}
// What takes longer than a second says that it is under way.
function underWay(form) {
  const clock = setTimeout(() => say(form, "", document.body.dataset.saving), 1000);
  return () => { clearTimeout(clock); say(form); };
}
for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(kind, (event) => {
    const source = event.target, status = event.detail.xhr ? event.detail.xhr.status : 0;
    if (!source.closest || [409, 422].includes(status) || live(event)) return;
    const form = source.closest("form[hx-post]");
    if (form) unanswered(form); else say($("#main"), "bad", document.body.dataset.away);
  });
}
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.target.closest && event.target.closest("form[hx-post]:not([role=search])");
  if (form && !form.matches("[enctype]")) form.stopWaiting = underWay(form);
});
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const form = event.target.closest && event.target.closest("form[hx-post]");
  if (form && form.stopWaiting) form.stopWaiting();
  say($("#main"));
});

// A refused form comes back with its reasons: they are shown, and the reader is taken to them.
document.addEventListener("htmx:beforeSwap", (event) => {
  if ([409, 422].includes(event.detail.xhr.status)) { event.detail.shouldSwap = true; event.detail.isError = false; }
});
function toErrors() { const box = $("[data-errors]"); if (box) box.focus(); }
toErrors();
document.addEventListener("htmx:afterSettle", toErrors);

// A button pressed twice sends once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-once]")) {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  }
});

// An act on a page of its own is sent without leaving the page: a network that fails takes no answer away.
document.addEventListener("submit", async (event) => {
  const form = event.target, by = event.submitter;
  if (event.defaultPrevented || !by || !form.matches("[data-stay]:not([hx-post])")) return;
  event.preventDefault();
  const data = new URLSearchParams(new FormData(form));
  if (by.name) data.append(by.name, by.value);
  const done = underWay(form), stop = new AbortController(), clock = setTimeout(() => stop.abort(), 15000);
  try {
    const to = by.hasAttribute("formaction") ? by.formAction : form.action;
    const answer = await fetch(to, { method: "POST", body: data, headers: { "Bihuan-Stay": "1" }, signal: stop.signal });
    const text = await answer.text(), next = answer.headers.get("Bihuan-Go");
    done();
    if (answer.status >= 500 || answer.headers.has("Retry-After")) { unanswered(form); return; }
    if (next) { location.assign(next); return; }
    const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    main.id = "main";
    $("#main").replaceWith(main);
    if (sheet && sheet.open) sheet.close();
    scrollTo(0, 0);
    toErrors();
  } catch (_) {
    done();
    unanswered(form);
  } finally { clearTimeout(clock); }
});
