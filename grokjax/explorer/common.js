// What all parts of the page share: the data, what is selected, and how words and numbers look.
// Words of the payload go in as text nodes only.

const payload = JSON.parse(document.getElementById("payload").textContent);
const columns = payload.runs;
const everyRun = columns.run_id.map((_, run) => run);
const OUTCOMES = ["status", "stop_reason", "error", "last_step"];
const results = new Set([...OUTCOMES, ...payload.measures]);
const TRAIN = "#0072B2", TEST = "#D55E00", CENSORED = "#e6e6e6";
const PLOT_OPTIONS = { displayModeBar: false, responsive: true, showTips: false };

// A run is its row number. `view` says which runs are shown: "cell", "kept" or "all".
const state = { pair: null, metric: null, cell: null, run: null, view: "all", filters: new Map(), dark: null };
const listeners = [];

function onChange(keys, draw) {
  listeners.push({ keys, draw });
}

function change(patch) {
  const changed = Object.keys(patch).filter((key) => state[key] !== patch[key]);
  Object.assign(state, patch);
  for (const { keys, draw } of listeners) {
    if (keys.some((key) => changed.includes(key))) draw();
  }
}

// Plots need the library that lies beside the page; all else is there without it.
const plotly = globalThis.Plotly ?? null;

function plot(id, traces, layout) {
  plotly?.react(id, traces, layout, PLOT_OPTIONS);
}

function relayout(id, layout) {
  plotly?.relayout(id, layout);
}

function onPlotClick(id, act) {
  if (plotly) byId(id).on("plotly_click", ({ points: [point] }) => act(point));
}

function byId(id) {
  return document.getElementById(id);
}

// An element with properties, or attributes where it has no such property, and children;
// strings become text nodes.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function button(text, properties, click) {
  const element = make("button", { type: "button", ...properties }, text);
  element.addEventListener("click", click);
  return element;
}

function options(select, choices) {
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
}

function definitions(list, pairs) {
  list.replaceChildren(
    ...pairs.map(([name, value]) => make("div", {}, make("dt", {}, String(name)), make("dd", {}, show(value)))),
  );
}

function labelOf(column) {
  return Object.hasOwn(payload.labels, column) ? payload.labels[column] : column.replaceAll("_", " ");
}

function has(column) {
  return Object.hasOwn(columns, column);
}

function valueOf(column, run) {
  return columns[column][run];
}

// Equal levels have equal keys, also where they are no numbers.
function keyOf(value) {
  return JSON.stringify(value ?? null);
}

// Levels in order, without the missing ones; 30,000 runs are worth a memory.
const knownLevels = new Map();

function levelsOf(column) {
  if (!knownLevels.has(column)) {
    const levels = [...new Set(columns[column])].filter((level) => level !== null);
    const numeric = levels.every((level) => typeof level === "number");
    knownLevels.set(column, numeric ? levels.sort((a, b) => a - b) : levels.sort());
  }
  return knownLevels.get(column);
}

function isNumeric(column) {
  return levelsOf(column).length > 0 && levelsOf(column).every((level) => typeof level === "number");
}

// A cell of a table; numbers, and what is missing among them, stand to the right.
function tableCell(value, numeric) {
  return make("td", { className: numeric ? "number" : "" }, show(value));
}

function columnHead(content, numeric) {
  return make("th", { scope: "col", className: numeric ? "number" : "" }, content);
}

function show(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "number" || Number.isInteger(value)) return minus(String(value));
  const text = Math.abs(value) < 1e-3 ? value.toExponential(3).replace(/\.?0*e/, "e") : String(Number(value.toPrecision(5)));
  return minus(text);
}

// A number in about four characters, for ticks.
function compact(value) {
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return minus(value.toExponential(1).replace(".0e", "e").replace("e+", "e"));
  if (size >= 1e6) return minus(`${Number((value / 1e6).toPrecision(2))}M`);
  if (size >= 1e3) return minus(`${Number((value / 1e3).toPrecision(size < 1e5 ? 2 : 3))}k`);
  return minus(String(Number(value.toPrecision(3))));
}

function minus(text) {
  return /^-[\d.]/.test(text) ? `−${text.slice(1)}` : text;
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function shortened(text, length = 24) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

// Plotly reads labels as a kind of HTML; this makes it show them as they are.
function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
