// What instruments have measured of the runs that are shown, over steps, one measure at a time.

const measured = payload.measured ?? null;

function measuredOf(run) {
  const name = valueOf("run_id", run);
  return measured && Object.hasOwn(measured.runs, name) ? measured.runs[name] : null;
}

function drawMeasured() {
  const name = byId("measured-name").value;
  const known = shownRuns().filter((run) => measuredOf(run) !== null);
  const faint = known.filter((run) => run !== state.run).slice(0, MOST_CURVES);
  const strong = known.filter((run) => run === state.run);
  const traces = [
    lines(faint, name, { line: { color: TRAIN, width: 1 }, opacity: 0.3 }, measuredOf),
    lines(strong, name, { line: { color: TEST, width: 2.5 } }, measuredOf),
  ];
  const { shapes, annotations } = marks();
  const axis = { showgrid: true, gridcolor: look.grid, zeroline: false, ticks: "outside", ticklen: 3, tickcolor: look.muted, linecolor: look.muted, automargin: true };
  plot("measured", traces, {
    font: look.font, margin: { l: 60, r: 16, t: 34, b: 44 }, showlegend: false, hovermode: "closest", hoverlabel: look.label,
    paper_bgcolor: look.paper, plot_bgcolor: look.paper, shapes, annotations,
    xaxis: { ...axis, type: "log", title: { text: escaped(payload.curves.step_unit), standoff: 6 }, tickformat: "~s", dtick: logTicks(traces.flatMap(({ x }) => x), 1000) },
    yaxis: { ...axis, title: { text: escaped(name), standoff: 8 } },
  });
}

function startMeasured() {
  if (!measured) return;
  byId("measured-section").hidden = false;
  options(byId("measured-name"), measured.names.map((name) => [name, name]));
  byId("measured-name").addEventListener("change", drawMeasured);
  onChange(["pair", "cell", "view", "run", "filters", "dark"], drawMeasured);
  drawMeasured();
  onPlotClick("measured", ({ customdata }) => {
    if (typeof customdata === "number") change({ run: customdata });
  });
}
