// Light or dark, before the first paint: the remembered choice, else what the system prefers.
(() => {
  const KEY = "sandbox-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function current() {
    return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  }

  function toggle() {
    const theme = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Without storage the choice lasts until the page is left.
    }
  }

  const theme = remembered();
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  window.sandboxTheme = { current, toggle, system };
})();
