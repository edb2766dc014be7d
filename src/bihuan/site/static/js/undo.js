// The ten seconds in which an act can be taken back. The server decides; this only shows the time and clears the page.
import { now } from "./countdown.js";

function watch(toast) {
  const until = Number(toast.dataset.until) * 1000;
  const seconds = toast.querySelector(".seconds");
  let hold = 0;
  const tick = () => {
    const left = Math.ceil((until - now()) / 1000);
    if (left <= 0) {
      // Not taken away under a finger or a keyboard that is about to press it.
      if (toast.matches(":focus-within") && hold < 20) { hold += 1; if (seconds) seconds.textContent = ""; return; }
      clearInterval(timer);
      toast.remove();
    } else if (seconds) {
      seconds.textContent = left;
    }
  };
  const timer = setInterval(tick, 250);
  tick();
}

function start(scope) {
  for (const toast of scope.querySelectorAll(".toast[data-until]:not([data-watched])")) {
    toast.dataset.watched = "1";
    watch(toast);
  }
}
start(document);
document.addEventListener("htmx:afterSettle", () => start(document));
