// Set the chosen theme before the first paint. Without a choice, the system's theme applies.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("refit-theme");
  } catch {
    // Storage is disabled: the system's theme applies.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
