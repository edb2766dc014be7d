// Dropping a list on the page. Without this file the ordinary file field works the same.

for (const drop of document.querySelectorAll("[data-drop]")) {
  const input = drop.querySelector("input[type=file]");
  const chosen = drop.querySelector("[data-chosen]");
  drop.classList.add("ready");
  const show = () => {
    const files = [...input.files];
    chosen.textContent = files.map((file) => `${file.name}（${size(file.size)}）`).join("、");
    chosen.hidden = files.length === 0;
  };
  const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { stop(event); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, (event) => { stop(event); drop.classList.remove("over"); });
  drop.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    show();
  });
  input.addEventListener("change", show);
  // A file that misses the field must not replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}

function size(bytes) {
  return bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

// The bytes on their way: htmx tells, a <progress> shows.
document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.querySelector && event.target.querySelector("[data-sent]");
  if (!bar || !event.detail.lengthComputable) return;
  bar.hidden = false;
  bar.max = event.detail.total;
  bar.value = event.detail.loaded;
});
