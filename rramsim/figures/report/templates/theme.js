"use strict";
(() => {
  const page = document.documentElement;
  // Light and dark: the system's choice until the reader makes one.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("rramsim-theme", value);
      return localStorage.getItem("rramsim-theme");
    } catch { return null; }
  };
  const paint = () => {
    const dark = (stored() ?? page.dataset.chosen ?? (system.matches ? "dark" : "light")) === "dark";
    page.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
  };
  button.addEventListener("click", () => {
    page.dataset.chosen = page.dataset.theme === "dark" ? "light" : "dark";
    stored(page.dataset.chosen);
    paint();
  });
  system.addEventListener("change", paint);
  paint();
})();
