import { render } from "preact";
import { App } from "./app.jsx";
import { start } from "./connection.js";
import * as state from "./state.js";

const THEMES = ["dark", "light", "contrast"];

/** Shows a theme, and keeps it for the next visit where the browser allows that. */
export function setTheme(theme) {
  state.theme.value = theme;
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Storage is off: the theme lasts until the page is closed.
  }
}

function firstTheme() {
  try {
    const kept = localStorage.getItem("theme");
    if (THEMES.includes(kept)) return kept;
  } catch {
    // Storage is off.
  }
  return matchMedia("(prefers-contrast: more)").matches ? "contrast" : "dark";
}

setTheme(firstTheme());
window.addEventListener("nexttheme", () => {
  setTheme(THEMES[(THEMES.indexOf(state.theme.value) + 1) % THEMES.length]);
});
setInterval(() => {
  state.clock.value += 1;
}, 500);
render(<App />, document.getElementById("page"));
start();
