// Filters: which runs are kept. Dragging along an axis and filling in the fields both end here.
// A filter is a range of numbers or a set of levels, and says whether runs without a value stay.

let kept = everyRun;

function keptRuns() {
  return kept;
}

function keeps({ low, high, keys, none }, value) {
  if (value === null) return none;
  return keys ? keys.has(keyOf(value)) : value >= low && value <= high;
}

function keptBy(filters) {
  if (!filters.size) return everyRun;
  const tests = [...filters].map(([column, filter]) => [columns[column], filter]);
  return everyRun.filter((run) => tests.every(([values, filter]) => keeps(filter, values[run])));
}

// The kept runs become what is shown; without filters, the cell is again.
function setFilter(column, filter) {
  const filters = new Map(state.filters);
  if (filter) filters.set(column, filter);
  else filters.delete(column);
  kept = keptBy(filters);
  const whole = grid ? "cell" : "all";
  const view = filters.size ? "kept" : whole;
  const shown = view === "cell" ? runsInCell(state.cell) : kept;
  change({ filters, view, run: shown.includes(state.run) ? state.run : tellingRun(shown) });
}

function describeFilter(column, { low, high, keys, none }) {
  const parts = [];
  if (keys) parts.push(...[...keys].map((key) => shortened(show(JSON.parse(key)))));
  else if (low <= high) parts.push(describeRange(low, high));
  if (none) parts.push("none");
  return `${labelOf(column)}: ${parts.join(", ") || "nothing"}`;
}

function describeRange(low, high) {
  if (low === high) return show(low);
  const ends = [["from", low], ["to", high]].filter(([, end]) => Number.isFinite(end));
  return ends.map(([word, end]) => `${word} ${show(end)}`).join(" ") || "any number";
}

// Each filter as a button that takes it away.
function drawFilters() {
  const buttons = [...state.filters].map(([column, filter]) => {
    const text = describeFilter(column, filter);
    return button(`${text} ✕`, { className: "filter", "aria-label": `let go of ${text}` }, () => {
      setFilter(column, null);
      byId("filter-column").focus();
    });
  });
  byId("filters").replaceChildren(...buttons);
}

function drawFields() {
  const column = byId("filter-column").value;
  const numeric = isNumeric(column);
  byId("filter-range").hidden = !numeric;
  byId("filter-choice").hidden = numeric;
  if (!numeric) options(byId("filter-level"), levelsOf(column).map((level) => [keyOf(level), shortened(show(level))]));
}

function keepByFields(event) {
  event.preventDefault();
  const column = byId("filter-column").value;
  const number = (id, otherwise) => (byId(id).value === "" ? otherwise : Number(byId(id).value));
  if (!isNumeric(column)) return setFilter(column, { keys: new Set([byId("filter-level").value]), none: false });
  const [low, high] = [number("filter-from", -Infinity), number("filter-to", Infinity)];
  // Two empty fields keep every run that has a value at all: who grokked, whenever.
  setFilter(column, { low, high, none: false });
}

function startFilters() {
  const names = [...new Set([...payload.axes, ...payload.measures, "status"])].filter((name) => has(name) && levelsOf(name).length > 0);
  options(byId("filter-column"), names.map((name) => [name, labelOf(name)]));
  byId("filter-column").addEventListener("change", drawFields);
  byId("filter").addEventListener("submit", keepByFields);
  onChange(["filters"], drawFilters);
  drawFields();
}
