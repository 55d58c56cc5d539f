// Which runs are shown, the list of them, and all about the selected one.

const MOST_LISTED = 60;

function shownRuns() {
  if (state.view === "cell") return runsInCell(state.cell);
  return state.view === "kept" ? keptRuns() : everyRun;
}

// The first that grokked, if any did: its curves tell most.
function tellingRun(runs) {
  const grokked = runs.filter((run) => has("t_grok") && valueOf("t_grok", run) !== null);
  return grokked.find(hasCurve) ?? runs.find(hasCurve) ?? runs[0] ?? null;
}

// A run from anywhere on the page; if it is not among those shown, its cell is shown.
function selectRun(run) {
  if (shownRuns().includes(run)) return change({ run });
  const cell = grid && cellOfRun(run);
  change(cell ? { run, cell, view: "cell" } : { run, view: "all" });
}

// Keeps the view and the run consistent after a change of axes or filters.
function selectView() {
  const runs = shownRuns();
  if (!runs.includes(state.run)) change({ run: tellingRun(runs) });
}

function describeShown() {
  const runs = shownRuns();
  const grokked = has("t_grok") ? `, ${runs.filter((run) => valueOf("t_grok", run) !== null).length} grokked` : "";
  const names = { cell: () => describeCell(state.cell), kept: () => "Kept by the filters", all: () => "All runs" };
  const chosen = state.run === null ? "" : ` Selected: ${valueOf("run_id", state.run)}.`;
  return `${names[state.view]()}: ${count(runs.length, "run")}${grokked}.${chosen}`;
}

function listedColumns() {
  const across = grid && state.view === "cell" ? [grid.x.column, grid.y.column] : [];
  const troubled = has("status") && columns.status.some((status) => status !== "done");
  const wanted = [...payload.axes.filter((axis) => !across.includes(axis)), ...(troubled ? ["status"] : []), "t_mem", "t_grok", "phase"];
  return [...new Set(wanted)].filter(has);
}

function runButton(run) {
  const name = String(valueOf("run_id", run));
  return button(shortened(name, 18), { className: "run", title: name, "aria-pressed": String(run === state.run) }, () => selectRun(run));
}

function runRow(run, names) {
  const cells = names.map((name) => tableCell(valueOf(name, run), isNumeric(name)));
  return make("tr", { className: run === state.run ? "selected" : "" }, make("th", { scope: "row" }, runButton(run)), ...cells);
}

function drawChosen() {
  const runs = shownRuns();
  const names = listedColumns();
  const head = [columnHead("run", false), ...names.map((name) => columnHead(labelOf(name), isNumeric(name)))];
  const first = runs.slice(0, MOST_LISTED);
  if (runs.includes(state.run) && !first.includes(state.run)) first.unshift(state.run);
  const rows = first.map((run) => runRow(run, names));
  const focused = document.activeElement?.closest("#chosen") ? document.activeElement.title : null;
  const more = runs.length > MOST_LISTED ? [make("p", { className: "help" }, `The first ${MOST_LISTED} of ${runs.length.toLocaleString("en")} runs.`)] : [];
  byId("chosen").replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)), ...more);
  showSelectedRow();
  // The list is made anew; who works with the keyboard stays on the same run.
  if (focused !== null) [...byId("chosen").querySelectorAll("button")].find((one) => one.title === focused)?.focus();
}

// Scrolls the list alone: `scrollIntoView` would move the page.
function showSelectedRow() {
  const list = byId("chosen");
  const row = list.querySelector("tr.selected");
  const hidden = row && (row.offsetTop < list.scrollTop || row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight);
  if (hidden) list.scrollTop = row.offsetTop - list.clientHeight / 2;
}

function drawRun() {
  byId("said").textContent = describeShown();
  if (state.run === null) return byId("run").replaceChildren("No run is selected.");
  const names = Object.keys(columns).filter((name) => name !== "run_id");
  const pairsOf = (wanted) => wanted.map((name) => [labelOf(name), valueOf(name, state.run)]);
  const configuration = [...payload.axes, ...names.filter((name) => !results.has(name) && !payload.axes.includes(name))].filter(has);
  const list = (title, id, wanted) => {
    const found = make("dl", { id });
    definitions(found, pairsOf(wanted));
    return make("div", {}, make("h3", {}, title), found);
  };
  byId("run-heading").textContent = `Run ${valueOf("run_id", state.run)}`;
  byId("run").replaceChildren(list("Measures", "measures", names.filter((name) => results.has(name))), list("Configuration", "configuration", configuration));
}

function startRun() {
  onChange(["pair", "cell", "view", "run", "filters"], drawChosen);
  onChange(["pair", "cell", "view", "run", "filters"], drawRun);
  drawChosen();
  drawRun();
}
