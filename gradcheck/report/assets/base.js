"use strict";
// The data of the page, and small helpers. Everything that comes from a record is escaped before it becomes HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const AXES = ["operation", "dtype", "mode", "device", "layout", "setting", "output"];
const CLASSES = ["deviates", "known", "coarse", "agrees", "unsupported"];
const COUNTS = AXES.length, WORST = COUNTS + CLASSES.length, MEDIAN = WORST + 1, ULP = WORST + 2;
const byId = (id) => document.getElementById(id);
const unpacked = (value) => (value === "inf" ? Infinity : value);
for (const cell of DATA.cells) for (const at of [WORST, MEDIAN, ULP]) cell[at] = unpacked(cell[at]);

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text).replace(/[&<>"']/g, (sign) => ESCAPES[sign]);
const grouped = (count) => count.toLocaleString("en");
const plural = (count, one, many = one + "s") => `${grouped(count)} ${count === 1 ? one : many}`;

function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value === Infinity) return "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e4 || size < 1e-3) return value.toExponential(0).replace("e+", "e").replace("e-", "e−");
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

const shortName = (name) => name.slice(name.lastIndexOf(".") + 1);
const pathOf = (name) => name.slice(0, name.lastIndexOf(".") + 1);
const linkTo = (operation, options = {}) => {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value)).toString();
  return `#/op/${encodeURIComponent(operation)}${query ? "?" + query : ""}`;
};

const parsed = new Map();
function detailOf(number) {
  // The details of an operation are parsed when it is looked at for the first time.
  if (!parsed.has(number)) parsed.set(number, JSON.parse(byId(`op-${number}`).textContent));
  return parsed.get(number);
}

function say(words) {
  byId("said").textContent = "";
  requestAnimationFrame(() => { byId("said").textContent = words; });
}

async function copy(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    done = document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = done ? "Copied ✓" : "Press Ctrl+C";
  say(done ? "Copied" : "Could not copy");
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}

const replayLine = (line) =>
  `<div class="replay"><code>${esc(line)}</code><button type="button" data-copy="${esc(line)}" aria-label="Copy the replay line">Copy</button></div>`;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button.dataset.copy, button);
});

// The theme is the system's until the button is used; then it is remembered.
const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
function paintTheme() {
  byId("theme").setAttribute("aria-pressed", dark());
  document.dispatchEvent(new Event("theme"));
}
try { document.documentElement.dataset.theme = localStorage.getItem("gradcheck-theme") || ""; } catch { /* no storage */ }
byId("theme").addEventListener("click", () => {
  const theme = dark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("gradcheck-theme", theme); } catch { /* no storage */ }
  paintTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintTheme);
