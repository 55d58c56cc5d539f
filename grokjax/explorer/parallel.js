// Parallel coordinates: a line a run through one axis a column; lines on a canvas, axes in SVG.
// Plotly's own need WebGL and code made at run time, which the page's security policy forbids;
// nor have they a place for runs without a value, which here is below each axis.

const HEIGHT = 360, TOP = 34, BOTTOM = 312, NONE = 340, SIDE = 76;
const REACH = 4; // pixels by which a hand may miss the end of an axis
const MOST_LINES = 4000;
const LEVELS_AS_TICKS = 9;
const FIRST_MEASURES = ["t_mem", "t_grok", "grok_gap", "final_test_accuracy", "phase"];
let upright = []; // the axes, from left to right
let colourOf = () => look.ink;

function svg(tag, properties, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Where a value lies between 0 and 1. Levels lie as on the map; other numbers are logarithmic
// where they spread over a factor of thirty, accuracies apart, which are shares.
function uprightAxis(column) {
  const levels = levelsOf(column);
  if (!isNumeric(column)) {
    const places = new Map(levels.map((level, index) => [keyOf(level), (index + 0.5) / levels.length]));
    return { column, levels, numeric: false, share: (value) => places.get(keyOf(value)), ticks: thinned(levels) };
  }
  if (payload.axes.includes(column)) {
    const { positions, at } = axisScale(column, levels);
    const length = positions.at(-1) - positions[0] || 1;
    return { column, levels, numeric: true, share: (value) => (at(value) - positions[0]) / length, ticks: thinned(levels) };
  }
  const [low, high] = [levels[0], levels.at(-1)];
  const log = low > 0 && high / low >= 30 && !column.endsWith("accuracy");
  const warp = log ? Math.log : (value) => value;
  const share = (value) => (high > low ? (warp(value) - warp(low)) / (warp(high) - warp(low)) : 0.5);
  const round = log ? roundNumbers(low, high) : spread(low, high, 6);
  return { column, levels, numeric: true, share, ticks: levels.length <= LEVELS_AS_TICKS ? levels : round };
}

function thinned(levels) {
  const every = Math.ceil(levels.length / LEVELS_AS_TICKS);
  return levels.filter((_, index) => index % every === 0);
}

function heightOf(axis, value) {
  return value === null ? NONE : BOTTOM - axis.share(value) * (BOTTOM - TOP);
}

function chosenColumns() {
  return [...byId("columns").querySelectorAll("input:checked")].map((box) => box.value);
}

function drawParallel() {
  const width = byId("parallel").clientWidth;
  const names = chosenColumns();
  const gap = names.length > 1 ? (width - 2 * SIDE) / (names.length - 1) : 0;
  upright = names.map((name, index) => ({ ...uprightAxis(name), x: SIDE + index * gap, gap: gap || width }));
  byId("parallel-axes").setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  byId("parallel-axes").replaceChildren(...upright.map(drawAxis));
  drawLines();
}

function drawLines() {
  const canvas = byId("lines");
  const width = byId("parallel").clientWidth;
  const sharp = devicePixelRatio || 1;
  [canvas.width, canvas.height] = [width * sharp, HEIGHT * sharp];
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  const inside = new Set(keptRuns());
  const outside = everyRun.filter((run) => !inside.has(run));
  stroke(pen, sampled(outside), look.faded, 0.6, 1);
  const bright = sampled(keptRuns());
  byId("lines-note").textContent = bright.length < inside.size ? `${count(bright.length, "line")} drawn of ${inside.size.toLocaleString("en")}.` : "";
  const alpha = Math.min(0.75, Math.max(0.12, 12 / Math.sqrt(bright.length + 1)));
  for (const run of bright) stroke(pen, [run], colourOf(run), 1.1, alpha);
  if (state.run !== null && inside.has(state.run)) stroke(pen, [state.run], look.ink, 2.2, 1);
}

// A screen has no room for more lines, and a brush should answer at once.
function sampled(runs) {
  const every = Math.ceil(runs.length / MOST_LINES);
  return every > 1 ? runs.filter((_, index) => index % every === 0) : runs;
}

function stroke(pen, runs, colour, width, alpha) {
  Object.assign(pen, { strokeStyle: colour, lineWidth: width, globalAlpha: alpha, lineJoin: "round" });
  for (const run of runs) {
    pen.beginPath();
    for (const axis of upright) pen.lineTo(axis.x, heightOf(axis, valueOf(axis.column, run)));
    pen.stroke();
  }
}

function drawAxis(axis) {
  const { x } = axis;
  const label = labelOf(axis.column);
  const head = svg("text", { x, y: TOP - 16, class: "axis-label" }, shortened(label, Math.max(6, Math.floor(Math.min(axis.gap, 2 * SIDE) / 7.1))));
  head.append(svg("title", {}, label));
  const ticks = axis.ticks.flatMap((tick) => drawTick(axis, heightOf(axis, tick), axis.numeric ? compact(tick) : shortened(show(tick), Math.max(6, Math.floor(axis.gap / 9)))));
  const none = columns[axis.column].includes(null) ? drawTick(axis, NONE, "none") : [];
  const line = svg("line", { x1: x, x2: x, y1: TOP, y2: BOTTOM, class: "axis-line" });
  const handle = svg("rect", { x: x - 14, y: TOP - 8, width: 28, height: HEIGHT - TOP + 8, class: "axis-handle", "data-column": axis.column });
  const group = svg("g", {}, line, ...ticks, ...none, head, ...drawBrush(axis), handle);
  handle.addEventListener("pointerdown", (event) => startBrush(event, axis, group));
  return group;
}

function drawTick({ x }, y, text) {
  return [svg("line", { x1: x - 4, x2: x, y1: y, y2: y, class: "axis-line" }), svg("text", { x: x - 7, y: y + 4, class: "axis-tick" }, text)];
}

function brushMark(axis, from, to) {
  return svg("rect", { x: axis.x - 6, y: Math.min(from, to) - 3, width: 12, height: Math.abs(to - from) + 6, class: "axis-brush" });
}

function drawBrush(axis) {
  const filter = state.filters.get(axis.column);
  if (!filter) return [];
  const inside = axis.levels.filter((level) => keeps(filter, level)).map((level) => heightOf(axis, level));
  if (filter.none) inside.push(NONE);
  return inside.length ? [brushMark(axis, Math.min(...inside), Math.max(...inside))] : [];
}

function startBrush(event, axis, group) {
  event.preventDefault();
  const top = byId("parallel").getBoundingClientRect().top;
  const from = event.clientY - top;
  const mark = brushMark(axis, from, from);
  group.insertBefore(mark, event.target);
  event.target.setPointerCapture(event.pointerId);
  event.target.onpointermove = (move) => {
    const to = move.clientY - top;
    mark.setAttribute("y", Math.min(from, to));
    mark.setAttribute("height", Math.abs(to - from));
  };
  event.target.onpointerup = (end) => setFilter(axis.column, brushed(axis, from, end.clientY - top));
  event.target.onpointercancel = drawParallel;
}

// A filter for the stretch of the axis between two heights; none for a mere click.
function brushed(axis, from, to) {
  if (Math.abs(to - from) < REACH) return null;
  const [upper, lower] = [Math.min(from, to), Math.max(from, to)];
  const within = (height) => height >= upper - REACH && height <= lower + REACH;
  const levels = axis.levels.filter((level) => within(heightOf(axis, level)));
  const none = within(NONE) && columns[axis.column].includes(null);
  if (!axis.numeric) return { keys: new Set(levels.map(keyOf)), none };
  return { low: levels[0] ?? Infinity, high: levels.at(-1) ?? -Infinity, none };
}

function drawColours() {
  const column = byId("colour").value;
  const levels = levelsOf(column);
  const swatch = (background, text) => make("span", {}, make("i", { className: "swatch", style: `background: ${background}` }), text);
  const missing = columns[column].includes(null) ? [swatch(MISSING, "none")] : [];
  if (!isNumeric(column)) {
    const colours = new Map(levels.map((level, index) => [level, Object.hasOwn(PHASES, level) ? PHASES[level] : KINDS[index % KINDS.length]]));
    colourOf = (run) => colours.get(valueOf(column, run)) ?? MISSING;
    byId("colour-key").replaceChildren(...[...colours].slice(0, 12).map(([level, colour]) => swatch(colour, shortened(show(level)))), ...missing);
  } else {
    const { share } = uprightAxis(column);
    const shade = (value) => `rgb(${colourAt(COLOURS.time, Math.round(share(value) * 24) / 24)})`;
    colourOf = (run) => (valueOf(column, run) === null ? MISSING : shade(valueOf(column, run)));
    const bar = make("i", { className: "bar", style: `background: linear-gradient(to right, ${COLOURS.time.join(",")})` });
    byId("colour-key").replaceChildren(make("span", {}, compact(levels[0]), " ", bar, ` ${compact(levels.at(-1))}`), ...missing);
  }
  drawLines();
}

function columnBoxes() {
  const names = [...new Set([...payload.axes, ...payload.measures])].filter((name) => has(name) && levelsOf(name).length > 0);
  const shown = new Set([...payload.axes.slice(0, 5), ...FIRST_MEASURES]);
  return names.map((name) => {
    const box = make("input", { type: "checkbox", value: name, checked: shown.has(name) });
    box.addEventListener("change", drawParallel);
    return make("label", {}, box, ` ${labelOf(name)}`);
  });
}

function startParallel() {
  byId("columns").replaceChildren(...columnBoxes());
  const names = [...byId("columns").querySelectorAll("input")].map((box) => box.value);
  const preferred = ["phase", "t_grok"].filter((name) => names.includes(name));
  options(byId("colour"), [...new Set([...preferred, ...names])].map((name) => [name, labelOf(name)]));
  byId("colour").addEventListener("change", drawColours);
  onChange(["filters", "dark"], drawParallel);
  onChange(["run", "dark"], drawLines);
  addEventListener("resize", drawParallel);
  drawParallel();
  if (names.length) drawColours();
}
