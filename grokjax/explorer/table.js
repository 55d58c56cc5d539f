// The table of all runs, or of those that the filters keep: sorted by a column, a page at a time.

const PAGE = 100;
let sorting = { column: null, descending: false };
let firstRow = 0;

function tableColumns() {
  const wanted = [...payload.axes, "status", ...payload.measures];
  return [...new Set(wanted)].filter((name) => has(name) && name !== "run_id");
}

// Missing values are last, whichever way the rest is sorted.
function sortedRuns() {
  const runs = keptRuns();
  if (sorting.column === null) return runs;
  const values = columns[sorting.column];
  const sign = sorting.descending ? -1 : 1;
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : Number(String(a) > String(b)));
  return [...runs].sort((a, b) => {
    const [left, right] = [values[a], values[b]];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return sign * order(left, right);
  });
}

function sortBy(column) {
  sorting = { column, descending: sorting.column === column && !sorting.descending };
  firstRow = 0;
  drawTable();
  byId("table").querySelector("th[aria-sort] button").focus();
}

function header(column) {
  const sorted = sorting.column === column;
  const arrow = sorted ? (sorting.descending ? " ▾" : " ▴") : "";
  const cell = columnHead(button(labelOf(column) + arrow, {}, () => sortBy(column)), isNumeric(column));
  if (sorted) cell.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
  return cell;
}

function drawTable() {
  const runs = sortedRuns();
  const names = tableColumns();
  const rows = runs.slice(firstRow, firstRow + PAGE).map((run) => runRow(run, names));
  byId("table").tHead.replaceChildren(make("tr", {}, ...["run_id", ...names].map(header)));
  byId("table").tBodies[0].replaceChildren(...rows);
  const last = Math.min(firstRow + PAGE, runs.length);
  const all = runs.length < everyRun.length ? ` (of ${everyRun.length.toLocaleString("en")})` : "";
  byId("page").textContent = runs.length ? `${firstRow + 1}–${last} of ${count(runs.length, "run")}${all}` : `no runs${all}`;
  byId("earlier").disabled = firstRow === 0;
  byId("later").disabled = last >= runs.length;
}

// Marks the selected run without making the rows anew, which would lose the keyboard's place.
function markSelected() {
  const name = state.run === null ? null : String(valueOf("run_id", state.run));
  for (const one of byId("table").querySelectorAll("button.run")) {
    one.setAttribute("aria-pressed", String(one.title === name));
    one.closest("tr").className = one.title === name ? "selected" : "";
  }
}

function turnPage(rows) {
  firstRow += rows;
  drawTable();
}

function startTable() {
  onChange(["filters"], () => {
    firstRow = 0;
    drawTable();
  });
  onChange(["run"], markSelected);
  byId("earlier").addEventListener("click", () => turnPage(-PAGE));
  byId("later").addEventListener("click", () => turnPage(PAGE));
  drawTable();
}
