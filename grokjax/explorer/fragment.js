// The part of the address after #: map, metric, cell and run, so that a link leads to them.

function fragment() {
  const told = new URLSearchParams();
  if (state.pair) {
    told.set("map", `${grid.x.column},${grid.y.column}`);
    told.set("metric", payload.metrics[state.metric].name);
    if (state.view === "cell" && state.cell) {
      told.set("x", keyOf(grid.x.levels[state.cell.column]));
      told.set("y", keyOf(grid.y.levels[state.cell.row]));
    }
  }
  if (state.run !== null) told.set("run", valueOf("run_id", state.run));
  return `#${told}`;
}

function writeFragment() {
  history.replaceState(null, "", fragment());
}

// What the address names and this page has; the rest is left as it is.
function readFragment() {
  const told = new URLSearchParams(location.hash.slice(1));
  if (state.pair) {
    const names = ({ map, swapped }) => (swapped ? [map.y, map.x] : [map.x, map.y]).join(",");
    const pair = pairs().findIndex((one) => names(one) === told.get("map"));
    if (pair >= 0 && names(pairs()[pair]) !== names(state.pair)) {
      byId("pair").value = pair;
      change({ pair: pairs()[pair] });
    }
    const metric = payload.metrics.findIndex(({ name }) => name === told.get("metric"));
    if (metric >= 0) {
      byId("metric").value = metric;
      change({ metric });
    }
    const place = ({ levels }, name) => levels.findIndex((level) => keyOf(level) === told.get(name));
    const cell = { column: place(grid.x, "x"), row: place(grid.y, "y") };
    if (cell.column >= 0 && cell.row >= 0) selectCell(cell);
  }
  const run = columns.run_id.findIndex((name) => String(name) === told.get("run"));
  if (run >= 0) selectRun(run);
}

function startFragment() {
  readFragment();
  onChange(["pair", "metric", "cell", "view", "run"], writeFragment);
  addEventListener("hashchange", readFragment);
}
