// Accuracy and loss of the runs that are shown: all faint, the selected one strong.

const SPLITS = [["train", TRAIN], ["test", TEST]];
const SMALLEST_LOSS = 1e-9; // below it a mean in float32 is rounding, down to an exact zero
const MOST_CURVES = 100;
const PANELS = [["accuracy", "y"], ["loss", "y2"]];

function curveOf(run) {
  const name = valueOf("run_id", run);
  return Object.hasOwn(payload.curves.runs, name) ? payload.curves.runs[name] : null;
}

function hasCurve(run) {
  return curveOf(run) !== null;
}

// Evenly chosen where there are too many, so that no corner of the selection is left out.
function runsToDraw(runs) {
  const known = runs.filter((run) => run !== state.run && hasCurve(run));
  const every = Math.ceil(known.length / MOST_CURVES);
  return known.filter((_, index) => index % every === 0);
}

function drawCurves() {
  const shown = shownRuns();
  const faint = runsToDraw(shown);
  const strong = state.run !== null && hasCurve(state.run) ? [state.run] : [];
  const alone = faint.length < 8 ? 0.4 : 0.22;
  const traces = PANELS.flatMap(([what, yaxis]) => [
    ...SPLITS.map(([split, color]) => lines(faint, `${split}_${what}`, { yaxis, line: { color, width: 1 }, opacity: alone })),
    ...SPLITS.map(([split, color]) => lines(strong, `${split}_${what}`, { yaxis, line: { color, width: 2.5 } })),
  ]);
  plot("curves", traces, curvesLayout(traces));
  noteCurves(shown, faint.length + strong.length);
}

// One trace for all runs, with gaps between them: hundreds of traces would be slow.
function lines(runs, metric, look, source = curveOf) {
  const [x, y, text, customdata] = [[], [], [], []];
  for (const run of runs) {
    const curve = source(run);
    curve.step.forEach((step, index) => {
      const value = curve[metric]?.[index] ?? null;
      if (step <= 0) return; // the initial network has no place on a log axis
      if (value === null && source !== curveOf) return; // measured at other steps
      x.push(step);
      y.push(metric.endsWith("loss") && value !== null ? Math.max(value, SMALLEST_LOSS) : value);
      text.push(escaped(`${valueOf("run_id", run)}, ${labelOf(metric)} ${show(value)} at ${show(step)}`));
      customdata.push(run);
    });
    for (const list of [x, y, text, customdata]) list.push(null);
  }
  return { type: "scatter", mode: "lines", x, y, text, customdata, hoverinfo: "text", showlegend: false, ...look };
}

function curvesLayout(traces) {
  const step = payload.curves.step_unit;
  const axis = { showgrid: true, gridcolor: look.grid, zeroline: false, ticks: "outside", ticklen: 3, tickcolor: look.muted, linecolor: look.muted, automargin: true };
  const { shapes, annotations } = marks();
  const losses = traces.filter((trace) => trace.yaxis === "y2").flatMap(({ y }) => y);
  return {
    font: look.font, margin: { l: 60, r: 16, t: 34, b: 44 }, showlegend: false, hovermode: "closest",
    hoverlabel: look.label, dragmode: "zoom",
    paper_bgcolor: look.paper, plot_bgcolor: look.paper, shapes, annotations,
    xaxis: { ...axis, type: "log", title: { text: escaped(step), standoff: 6 }, anchor: "y2", tickformat: "~s", dtick: logTicks(traces.flatMap(({ x }) => x), 1000) },
    yaxis: { ...axis, domain: [0.54, 1], range: [-0.04, 1.04], title: { text: "accuracy", standoff: 8 } },
    yaxis2: { ...axis, domain: [0, 0.46], type: "log", title: { text: "loss", standoff: 8 }, exponentformat: "power", dtick: logTicks(losses, 100), tickfont: { size: 10 } },
  };
}

// Labels at 1, 2 and 5, or at powers of ten alone where those would not fit.
function logTicks(values, widest) {
  const known = values.filter((value) => value > 0);
  const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), 0)];
  if (high / low > widest ** 3) return 2;
  return high / low > widest ? 1 : "D2";
}

// When the selected run memorised and grokked; the two labels have a line each, lest they collide.
function marks() {
  const times = [["t_mem", "dot", 0], ["t_grok", "solid", 14]].filter(([name]) => state.run !== null && has(name) && valueOf(name, state.run) > 0);
  return {
    shapes: times.map(([name, dash]) => {
      const time = valueOf(name, state.run);
      return { type: "line", x0: time, x1: time, yref: "paper", y0: 0, y1: 1, line: { color: look.muted, width: 1.2, dash } };
    }),
    annotations: times.map(([name, , yshift]) => ({
      x: Math.log10(valueOf(name, state.run)), yref: "paper", y: 1, yanchor: "bottom", yshift, xanchor: "auto", showarrow: false,
      text: escaped(`${name} ${show(valueOf(name, state.run))}`), font: { size: 11, color: look.ink },
    })),
  };
}

function noteCurves(shown, number) {
  const without = shown.filter((run) => !hasCurve(run)).length;
  const parts = [];
  if (number === 0) parts.push("no curves here.");
  else if (number < shown.length - without) parts.push(`${number} of ${shown.length} runs drawn.`);
  if (without) parts.push(payload.curves_note ?? `${count(without, "run")} without curves.`);
  byId("curves-note").textContent = parts.join(" ");
}

function startCurves() {
  onChange(["pair", "cell", "view", "run", "filters", "dark"], drawCurves);
  drawCurves();
  onPlotClick("curves", ({ customdata }) => {
    if (typeof customdata === "number") change({ run: customdata });
  });
}
