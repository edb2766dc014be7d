// Loaded before the page is painted, so that nobody is blinded at night: the reader's own choice of light or dark.
(function () {
  try {
    var theme = localStorage.getItem("theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch (_) { /* A browser that keeps nothing follows the system. */ }
})();
