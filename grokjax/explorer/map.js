// The map: a colour a cell, over two axes; a click or the arrow keys select a cell.

const MOST_TICKS = 12;
const LETTER = 7; // pixels, rather too many than too few
let grid = null; // of the pair of axes that is shown

function pairs() {
  return payload.maps.flatMap((map) => [{ map, swapped: false }, { map, swapped: true }]);
}

function gridOf({ map, swapped }) {
  const turn = (rows) => (swapped ? rows[0].map((_, index) => rows.map((row) => row[index])) : rows);
  const [x, y] = [axisScale(map.x, map.xs), axisScale(map.y, map.ys)];
  const members = new Map();
  for (const run of everyRun) {
    const key = keyOf(valueOf(map.x, run)) + keyOf(valueOf(map.y, run));
    if (!members.has(key)) members.set(key, []);
    members.get(key).push(run);
  }
  const layer = (name) => Object.fromEntries(Object.entries(map.layers[name]).map(([part, rows]) => [part, turn(rows)]));
  const runs = (xLevel, yLevel) => members.get(swapped ? keyOf(yLevel) + keyOf(xLevel) : keyOf(xLevel) + keyOf(yLevel)) ?? [];
  return { x: swapped ? y : x, y: swapped ? x : y, layer, runs };
}

function runsInCell({ column, row }) {
  return grid.runs(grid.x.levels[column], grid.y.levels[row]);
}

function cellOfRun(run) {
  const place = ({ column, levels }) => levels.findIndex((level) => keyOf(level) === keyOf(valueOf(column, run)));
  const cell = { column: place(grid.x), row: place(grid.y) };
  return cell.column < 0 || cell.row < 0 ? null : cell;
}

function describeCell({ column, row }) {
  const part = (axis, index) => `${labelOf(axis.column)} ${show(axis.levels[index])}`;
  return `${part(grid.x, column)}, ${part(grid.y, row)}`;
}

// Where runs grok, and among those cells where it takes longest: there is most to see.
function tellingCell() {
  let best = { share: -1, time: -1, cell: { column: 0, row: 0 } };
  grid.y.levels.forEach((_, row) => grid.x.levels.forEach((_, column) => {
    const runs = runsInCell({ column, row }).filter(hasCurve);
    const times = runs.map((run) => (has("t_grok") ? valueOf("t_grok", run) : null)).filter((time) => time !== null);
    const share = runs.length ? times.length / runs.length : -1;
    const time = times.length ? median(times) : -1;
    if (share > best.share || (share === best.share && time > best.time)) best = { share, time, cell: { column, row } };
  }));
  return best.cell;
}

function selectCell(cell) {
  change({ cell, view: "cell", run: tellingRun(runsInCell(cell)) });
}

function drawMap() {
  const metric = payload.metrics[state.metric];
  const layer = grid.layer(metric.name);
  const scale = colourScale(layer.values.flat(), metric);
  const missing = layer.values.map((row, j) => row.map((value, i) => value === null && layer.censored[j][i]));
  const gap = { xgap: 1, ygap: 1, x: grid.x.edges, y: grid.y.edges, type: "heatmap" };
  const traces = [
    { ...gap, ...coloured(layer, scale, metric) },
    { ...gap, z: missing.map((row) => row.map((is) => (is ? 1 : null))), colorscale: [[0, CENSORED], [1, CENSORED]], showscale: false, hoverinfo: "skip" },
    hatching(missing),
    ...boundaryLines(),
    numbers(layer, scale, missing),
  ];
  plot("map", traces, mapLayout());
  drawKey(missing);
  byId("map").classList.toggle("bounded", boundaryOfMap() !== null);
}

function coloured(layer, scale, metric) {
  const ticks = scale.ticks;
  return {
    z: layer.values.map((row) => row.map((value) => (value === null ? null : scale.warp(value)))),
    zmin: scale.low,
    zmax: scale.high,
    colorscale: scale.colours.map((colour, index) => [index / (scale.colours.length - 1), colour]),
    colorbar: {
      thickness: 12, outlinewidth: 0, xpad: 8, ticklen: 3, tickvals: ticks.map(scale.warp), ticktext: ticks.map(compact),
      // On a phone there is no room for it, and the choice above the map says the same.
      title: { text: isNarrow() ? "" : escaped(metric.label), side: "right" },
    },
    hovertext: layer.text.map((row, j) => row.map((text, i) => hoverText(text, metric, i, j))),
    hoverinfo: "text",
    hoverongaps: true,
  };
}

function isNarrow() {
  return byId("map").clientWidth < 480;
}

function hoverText(text, metric, column, row) {
  const runs = count(runsInCell({ column, row }).length, "run");
  const lines = [`${labelOf(grid.x.column)}: ${show(grid.x.levels[column])}`, `${labelOf(grid.y.column)}: ${show(grid.y.levels[row])}`, `${metric.label}: ${text}`, runs];
  return lines.map((line) => escaped(shortened(line, 80))).join("<br>");
}

// Plotly has no hatched heat map: diagonals of each cell, as one line with gaps.
function hatching(missing) {
  const [x, y] = [[], []];
  const along = ({ edges }, index, share) => edges[index] + share * (edges[index + 1] - edges[index]);
  missing.forEach((row, j) => row.forEach((is, i) => {
    if (!is) return;
    for (let shift = -0.8; shift < 0.9; shift += 0.2) {
      for (const share of [Math.max(0, shift), Math.min(1, 1 + shift)]) {
        x.push(along(grid.x, i, share));
        y.push(along(grid.y, j, share - shift));
      }
      x.push(null);
      y.push(null);
    }
  }));
  return { ...drawn(x, y, "#bdbdbd", 0.7) };
}

function drawn(x, y, color, width, dash = "solid") {
  return { type: "scatter", mode: "lines", x, y, line: { color, width, dash }, hoverinfo: "skip", showlegend: false };
}

function boundaryOfMap() {
  const { boundary } = payload;
  if (!boundary) return null;
  const [x, y] = [grid.x.column, grid.y.column];
  if (boundary.x === x && boundary.y === y) return { ...boundary, place: ([a, b]) => [grid.x.at(a), grid.y.at(b)] };
  if (boundary.x === y && boundary.y === x) return { ...boundary, place: ([a, b]) => [grid.x.at(b), grid.y.at(a)] };
  return null;
}

function boundaryLines() {
  const boundary = boundaryOfMap();
  if (!boundary) return [];
  const placed = (polylines) => {
    const points = polylines.flatMap((polyline) => [...polyline.map(boundary.place), [null, null]]);
    return [0, 1].map((part) => points.map((point) => (Number.isFinite(point[part]) ? point[part] : null)));
  };
  // A white line below keeps the dark one visible on dark cells.
  const line = ([x, y], width) => [drawn(x, y, "rgba(255,255,255,0.85)", width + 2.5), drawn(x, y, "#000000", width)];
  // One shaded region: with few seeds its border goes to and fro, and a dashed one came apart.
  const region = placed(boundary.band);
  const shade = { ...drawn(...region, "rgba(255,255,255,0.9)", 2.4), fill: "toself", fillcolor: "rgba(120,120,120,0.38)" };
  return [shade, drawn(...region, "#000000", 0.8), ...line(placed(boundary.curve), 2.2)];
}

function numbers(layer, scale, missing) {
  const width = (byId("map").clientWidth - (isNarrow() ? 120 : 170)) / grid.x.levels.length;
  const height = (byId("map").clientHeight - 100) / grid.y.levels.length;
  // A cell without runs has no text.
  const fit = Math.max(...layer.text.flat().map((text) => text?.length ?? 0)) * LETTER < width && height > 15;
  const [x, y, text, color] = [[], [], [], []];
  if (fit) layer.text.forEach((row, j) => row.forEach((words, i) => {
    if (words === null) return;
    const value = layer.values[j][i];
    const share = (scale.warp(value) - scale.low) / (scale.high - scale.low);
    x.push(grid.x.positions[i]);
    y.push(grid.y.positions[j]);
    text.push(escaped(words));
    const cell = value === null ? rgb(missing[j][i] ? CENSORED : look.paper) : colourAt(scale.colours, share);
    color.push(inkOn(cell));
  }));
  return { type: "scatter", mode: "text", x, y, text, textfont: { color, size: 12 }, hoverinfo: "skip", showlegend: false };
}

function mapLayout() {
  return {
    font: look.font, dragmode: false, showlegend: false, margin: { l: 56, r: 10, t: 10, b: 48 },
    paper_bgcolor: look.paper, plot_bgcolor: look.paper, xaxis: mapAxis(grid.x), yaxis: mapAxis(grid.y),
    shapes: selectedCell(), hovermode: "closest", hoverlabel: look.label,
  };
}

function mapAxis(axis) {
  const every = Math.ceil(axis.levels.length / MOST_TICKS);
  const kept = axis.levels.map((_, index) => index).filter((index) => index % every === 0);
  return {
    range: [axis.edges[0], axis.edges.at(-1)], fixedrange: true, showgrid: false, zeroline: false, automargin: true,
    title: { text: escaped(labelOf(axis.column)), standoff: 10 }, ticks: "outside", ticklen: 3, tickcolor: look.muted,
    tickvals: kept.map((index) => axis.positions[index]),
    ticktext: kept.map((index) => escaped(shortened(tickOf(axis.levels[index])))),
  };
}

function tickOf(level) {
  return typeof level === "number" && !Number.isInteger(level) ? compact(level) : show(level);
}

function selectedCell() {
  if (!state.cell || state.view !== "cell") return [];
  const { column, row } = state.cell;
  const frame = { type: "rect", x0: grid.x.edges[column], x1: grid.x.edges[column + 1], y0: grid.y.edges[row], y1: grid.y.edges[row + 1] };
  return [{ ...frame, line: { color: "#ffffff", width: 6 } }, { ...frame, line: { color: "#000000", width: 3 } }];
}

function drawKey(missing) {
  const parts = [];
  if (missing.flat().some(Boolean)) parts.push(make("span", {}, make("i", { className: "hatched" }), "beyond the budget: at least the number shown"));
  if (boundaryOfMap()) parts.push(make("span", {}, make("i", { className: "line boundary" }), "boundary, its interval shaded"));
  byId("map-key").replaceChildren(...parts);
}

function moveByKey(event) {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!move) return;
  event.preventDefault();
  const clamp = (place, levels) => Math.min(Math.max(place, 0), levels.length - 1);
  const from = state.cell ?? { column: 0, row: 0 };
  selectCell({ column: clamp(from.column + move[0], grid.x.levels), row: clamp(from.row + move[1], grid.y.levels) });
}

// Other axes: the run stays selected, and the cell that holds it is the cell.
function changePair() {
  grid = gridOf(state.pair);
  const cell = state.run === null ? null : cellOfRun(state.run);
  Object.assign(state, { cell: cell ?? tellingCell() });
}

function startMap() {
  const choices = pairs();
  if (!choices.length) {
    byId("map-section").replaceChildren(make("h2", {}, "Map"), make("p", {}, "Fewer than two columns vary in this sweep: there is nothing to map."));
    return change({ view: "all", run: tellingRun(everyRun) });
  }
  const name = ({ map, swapped }) => (swapped ? [map.y, map.x] : [map.x, map.y]).map(labelOf).join(" × ");
  options(byId("pair"), choices.map((pair, index) => [index, name(pair)]));
  options(byId("metric"), payload.metrics.map((metric, index) => [index, metric.label]));
  onChange(["pair"], changePair);
  onChange(["pair", "metric", "dark"], drawMap);
  onChange(["cell", "view"], () => relayout("map", { shapes: selectedCell() }));
  change({ pair: choices[0], metric: 0 });
  selectCell(state.cell);
  onPlotClick("map", ({ pointIndex: [row, column] }) => selectCell({ row, column }));
  byId("map").addEventListener("keydown", moveByKey);
  byId("pair").addEventListener("change", (event) => {
    change({ pair: choices[event.target.value] });
    selectView();
  });
  byId("metric").addEventListener("change", (event) => change({ metric: Number(event.target.value) }));
  addEventListener("resize", drawMap);
}
