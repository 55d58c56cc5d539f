// Light or dark: what the reader's system asks for, until the button is pressed.

const DARK_INK = "#1f1f1f"; // on light cells, whatever the page looks like
const STORED = "grokjax-look";
const look = {}; // colours of the style sheet, for what is drawn without it

function readLook() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "rule", "paper", "grid", "faded"]) look[name] = style.getPropertyValue(`--${name}`).trim();
  look.font = { family: "system-ui, sans-serif", size: 12, color: look.ink };
  look.label = { bgcolor: look.paper, bordercolor: look.muted, font: look.font, align: "left" };
}

// A page from a disk may be denied its storage.
function remembered() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function remember(dark) {
  try {
    localStorage.setItem(STORED, dark ? "dark" : "light");
  } catch { /* then it is asked for again */ }
}

function setLook(dark) {
  document.documentElement.dataset.look = dark ? "dark" : "light";
  readLook();
  byId("look").textContent = dark ? "light" : "dark";
  byId("look").setAttribute("aria-label", `Show the page ${dark ? "light" : "dark"}`);
  change({ dark });
}

function startLook() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = remembered();
  setLook(stored === null ? system.matches : stored === "dark");
  system.addEventListener("change", () => {
    if (remembered() === null) setLook(system.matches);
  });
  byId("look").addEventListener("click", () => {
    remember(!state.dark);
    setLook(!state.dark);
  });
}
