// Starts the parts of the page, and fills in what never changes.

function copyCommand() {
  const copied = navigator.clipboard?.writeText(payload.command) ?? Promise.reject(new Error("no clipboard"));
  const say = (text) => { byId("copy").textContent = text; };
  // Without a clipboard the command is selected, so that the usual keys copy it.
  copied.then(() => say("copied"), () => {
    getSelection().selectAllChildren(byId("command"));
    say("selected: copy it with your keyboard");
  });
}

function drawnTable({ title, columns: names, rows }) {
  const numeric = names.map((_, index) => rows.some((row) => typeof row[index] === "number"));
  const head = make("thead", {}, make("tr", {}, ...names.map((name, index) => columnHead(String(name), numeric[index]))));
  const cells = (row) => row.map((value, index) => tableCell(value, numeric[index]));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))));
  const scroll = make("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": title }, make("table", {}, head, body));
  return make("div", {}, make("h2", {}, title), scroll);
}

function startPage() {
  startLook();
  if (!plotly) {
    const text = "The map and the curves are not drawn: plotly.min.js is not beside this page. Copy both files from the folder of the results.";
    byId("notes").before(make("p", { className: "missing", role: "alert" }, text));
  }
  byId("title").textContent = payload.title;
  byId("command").textContent = payload.command;
  byId("copy").addEventListener("click", copyCommand);
  byId("notes").replaceChildren(...payload.notes.map((note) => make("li", {}, note)));
  byId("tables").replaceChildren(...payload.tables.map(drawnTable));
  definitions(byId("provenance"), payload.provenance);
  definitions(byId("thresholds"), payload.thresholds);
}

// First what is seen first; the rest once the browser has shown that.
startPage();
startMap();
startRun();
startCurves();
startMeasured();
requestAnimationFrame(() => setTimeout(() => {
  startFilters();
  startParallel();
  startTable();
  startFragment();
  document.documentElement.dataset.ready = "yes";
}));
