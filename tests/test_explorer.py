"""The page of a sweep: its text, and what a reader of it sees and does in a real browser."""

import html.parser
import json
import math
import random
import re
import time
from pathlib import Path

import pytest
from explorer_payload import BOLD, HOSTILE, payload, table_of_runs
from explorer_reader import Reader, start_browser
from selenium.webdriver import Keys

from grokjax.explorer import page


class Elements(html.parser.HTMLParser):
    """Every start tag of a page, and the text of every script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append(data)


def test_hostile_words_stay_data():
    text = page.render(payload())
    found = Elements(text)
    plain = Elements(page.render(payload(title="a", command="b", notes=[], tables=[])))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert "img" not in {tag for tag, _ in found.tags}
    assert json.loads(found.scripts[0])["title"] == HOSTILE
    assert not set("<>&\u2028\u2029") & set(found.scripts[0])


def test_words_that_look_like_placeholders_stay_as_they_are():
    found = Elements(page.render(payload(title="$payload ${plotly} $$ \\1")))
    assert json.loads(found.scripts[0])["title"] == "$payload ${plotly} $$ \\1"


def test_numbers_that_json_lacks_become_null():
    data = json.loads(Elements(page.render(payload())).scripts[0])
    assert data["runs"]["t_grok"][0] is None
    assert data["maps"][0]["layers"]["t_grok"]["values"][0] == [None, 200.0, 300.0]
    infinite = payload(thresholds=[["most", math.inf]])
    assert json.loads(Elements(page.render(infinite)).scripts[0])["thresholds"] == [["most", None]]


def test_curves_are_shortened_and_steps_are_not():
    data = payload()
    data["curves"]["runs"] = {"run00": {"step": [1234567], "test_loss": [0.123456789]}}
    curves = json.loads(Elements(page.render(data)).scripts[0])["curves"]["runs"]
    assert curves == {"run00": {"step": [1234567], "test_loss": [0.12346]}}


def test_nothing_is_fetched():
    found = Elements(page.render(payload()))
    # But for the one file that lies beside it.
    assert [a["src"] for _, a in found.tags if {"src", "href"} & set(a)] == ["plotly.min.js"]
    policy = next(attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs)
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy
    script_rule = re.search(r"script-src ([^;]*)", policy)[1]
    assert re.fullmatch(r"'self' file: 'sha256-[^' ]+'", script_rule)


@pytest.mark.parametrize("path", sorted(Path(page.__file__).parent.iterdir()), ids=lambda p: p.name)
def test_our_parts_are_rooms_that_make_no_markup(path):
    if path.suffix in (".js", ".css", ".html"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 350
        assert "</script" not in text or path.suffix == ".html"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests; none of what they did may have gone wrong in its console."""
    driver = start_browser(tmp_path_factory.mktemp("profile"))
    try:
        yield driver
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.render(payload()), encoding="utf-8")
    (path.parent / page.LIBRARY).write_text(page.library(), encoding="utf-8")
    return path


@pytest.fixture
def reader(browser, address):
    reader = Reader(browser)
    reader.open(address)
    return reader


def test_words_are_shown_as_text(reader):
    assert reader.text("h1") == HOSTILE
    assert HOSTILE in reader.text("#command")
    assert BOLD in reader.text("#notes") and BOLD in reader.text("#tables")
    reader.pick("#pair", 2)  # the axis with hostile levels and label
    shown = reader.js(
        "[...document.querySelectorAll('#map text')].map((t) => t.textContent).join('\\n')"
    )
    assert "</script><img" in shown and f"norm {BOLD}" in shown and f"median t_grok {BOLD}" in shown
    reader.click_cell(1, 0)
    reader.wait("document.querySelector('#map .hoverlayer text') !== null")
    assert not reader.all("img, b, main a, [onclick], [onerror]")


def test_it_starts_where_runs_grok(reader):
    assert reader.text("#said").startswith(
        "weight decay 10, train fraction 0.5: 6 runs, 6 grokked."
    )
    assert "run30" in reader.text("#run-heading")


def test_a_click_on_a_cell_shows_its_runs(reader):
    before = reader.drawn_steps()
    reader.click_cell(1, 0)
    assert reader.text("#said").startswith("weight decay 1, train fraction 0.3: 6 runs, 6 grokked.")
    assert reader.drawn_steps() != before
    assert set(reader.drawn_steps()[2]) == {12, None}  # the strong curve is of the selected run
    assert set(reader.drawn_steps()[0]) == {13, 14, 15, 16, 17, None}
    reader.click_cell(0, 1)  # a censored cell is a cell
    assert reader.text("#said").startswith(
        "weight decay 0.1, train fraction 0.5: 6 runs, 0 grokked."
    )


def test_arrow_keys_move_the_selected_cell(reader):
    reader.focus("#map")
    reader.keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN)
    assert reader.text("#said").startswith("weight decay 1, train fraction 0.3:")
    reader.keys(Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_LEFT)  # stops at the edge
    assert reader.text("#said").startswith("weight decay 0.1, train fraction 0.3:")
    frame = reader.js("document.getElementById('map').layout.shapes.map((s) => s.x0)")
    edge = reader.js("document.getElementById('map').data[0].x[0]")
    assert frame == [edge, edge]


def test_a_click_on_a_run_shows_its_configuration(reader):
    reader.all("#chosen button.run")[4].click()
    assert reader.text("#run-heading") == "Run run34"
    assert "width\n128" in reader.text("#configuration") and "seed\n1" in reader.text(
        "#configuration"
    )
    assert "t_grok\n440" in reader.text("#measures").replace("t grok", "t_grok")
    times = reader.js("document.getElementById('curves').layout.annotations.map((a) => a.text)")
    assert times == ["t_mem 21", "t_grok 440"]
    assert reader.js("document.activeElement.title") == "run34"


def test_metric_and_axes_change_the_map(reader):
    reader.pick("#metric", 1)
    reader.wait("document.getElementById('map').data[0].zmax === 1")
    reader.pick("#pair", 1)
    assert reader.js("document.getElementById('map').layout.xaxis.title.text") == "train fraction"
    assert reader.js("document.getElementById('map').data[0].z") == [[0, 0], [1, 1], [1, 1]]
    assert reader.text("#said").startswith("train fraction 0.5, weight decay 10:")
    reader.pick("#pair", 2)
    assert len(reader.js("document.getElementById('map').data")) == 4  # no boundary on these axes
    assert reader.text("#said").count("6 runs") == 1 and "run30" in reader.text("#said")


def test_fields_keep_runs_without_a_mouse(reader):
    assert reader.text("#page") == "1–36 of 36 runs"
    reader.focus("#filter-column")
    reader.keys("train f")
    reader.keys(Keys.TAB, "0.4", Keys.TAB, "0.6", Keys.ENTER)
    assert reader.text("#page") == "1–18 of 18 runs (of 36)"
    assert reader.text("#said").startswith("Kept by the filters: 18 runs, 12 grokked.")
    drawn = reader.drawn_steps()
    assert len(set(drawn[0]) | set(drawn[2])) == 19
    reader.focus("#filters button")
    reader.keys(Keys.ENTER)
    assert reader.text("#page") == "1–36 of 36 runs"
    assert reader.text("#said").startswith("weight decay 10, train fraction 0.5: 6 runs")


def test_a_drag_along_an_axis_keeps_runs(reader):
    reader.drag_axis("t_grok", 0.01, 0.88)  # all the numbers, not the place for those without
    assert reader.text("#page") == "1–24 of 24 runs (of 36)"
    reader.drag_axis("phase", 0.01, 0.5)
    assert reader.text("#page") == "no runs (of 36)"
    reader.drag_axis("t_grok", 0.9, 0.99)
    assert reader.text("#page") == "1–12 of 12 runs (of 36)"
    reader.drag_axis("t_grok", 0.5, 0.5)
    reader.drag_axis("phase", 0.5, 0.5)
    assert reader.text("#page") == "1–36 of 36 runs"


def test_the_table_sorts(reader):
    def header():
        return next(h for h in reader.all("#table thead button") if "t grok" in h.text)

    header().click()
    assert reader.rows()[:2] == ["run12", "run13"]
    header().click()
    assert reader.rows()[:2] == ["run35", "run34"]
    assert reader.rows()[24:] == [
        f"run{number:02d}" for number in range(12)
    ]  # without a time: last
    assert reader.one("#table th[aria-sort]").get_attribute("aria-sort") == "descending"
    reader.all("#table tbody button")[24].click()
    assert reader.text("#said").startswith(
        "weight decay 0.1, train fraction 0.3: 6 runs, 0 grokked."
    )


def test_a_sweep_without_two_axes_has_a_page_too(browser, tmp_path):
    runs = {name: values[:2] for name, values in table_of_runs()[0].items()}
    few = payload(maps=[], metrics=[], axes=[], boundary=None, tables=[], runs=runs, notes=[])
    (tmp_path / "few.html").write_text(page.render(few), encoding="utf-8")
    (tmp_path / page.LIBRARY).write_text(page.library(), encoding="utf-8")
    reader = Reader(browser)
    reader.open(tmp_path / "few.html")
    assert "nothing to map" in reader.text("#map-section")
    assert reader.text("#said").startswith("All runs: 2 runs, 0 grokked.")


@pytest.mark.slow
def test_how_long_two_thousand_runs_take_to_open(browser, tmp_path):
    rng = random.Random(0)
    runs, curves = table_of_runs(points=80)
    names = [f"run{number:04d}" for number in range(2000)]
    picks = [rng.randrange(36) for _ in names]
    many = {column: [values[pick] for pick in picks] for column, values in runs.items()}
    noisy = {
        name: {
            metric: [v + rng.random() * (metric != "step") for v in values]
            for metric, values in curves[f"run{pick:02d}"].items()
        }
        for name, pick in zip(names, picks, strict=True)
    }
    data = payload(runs={**many, "run_id": names})
    data["curves"] = {**data["curves"], "runs": noisy}
    (tmp_path / "many.html").write_text(page.render(data), encoding="utf-8")
    (tmp_path / page.LIBRARY).write_text(page.library(), encoding="utf-8")
    reader = Reader(browser)
    for _ in range(3):
        start = time.monotonic()
        reader.open(tmp_path / "many.html")
        print(f"2,000 runs: all drawn after {time.monotonic() - start:.2f} s")


def test_the_address_keeps_map_metric_cell_and_run(reader, address):
    reader.pick("#pair", 1)
    reader.pick("#metric", 1)
    reader.click_cell(0, 1)
    reader.all("#chosen button.run")[-1].click()
    shown = reader.text("#said"), reader.js("location.hash")
    assert "run=run" in shown[1] and "metric=" in shown[1]
    reader.driver.get("about:blank")
    reader.driver.get(address.as_uri() + shown[1])
    reader.wait("document.documentElement.dataset.ready === 'yes'")
    assert (reader.text("#said"), reader.js("location.hash")) == shown
    assert reader.js("document.getElementById('metric').value") == "1"
    assert reader.js("document.getElementById('pair').value") == "1"
    # A link that is pasted into the open page leads there too.
    reader.driver.execute_script("location.hash = '#run=run30'")
    reader.wait("document.getElementById('run-heading').textContent === 'Run run30'")


def test_a_hostile_address_is_left_alone(reader, address):
    reader.driver.get("about:blank")
    hostile = "#map=a,b&metric=%3Cimg%20src%3Dx%3E&x=%7B%7D&y=[&run=%3Cscript%3E&__proto__=1"
    reader.driver.get(address.as_uri() + hostile)
    reader.wait("document.documentElement.dataset.ready === 'yes'")
    assert "run30" in reader.text("#run-heading")
    assert not reader.all("main img, main script")


def test_dark_where_the_reader_asks_for_it(reader, address):
    def colours():
        return reader.js(
            "[getComputedStyle(document.body).backgroundColor, "
            "document.getElementById('curves')._fullLayout.paper_bgcolor, "
            "document.getElementById('map')._fullLayout.font.color]"
        )

    light = colours()
    reader.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    try:
        reader.wait("document.documentElement.dataset.look === 'dark'")
        dark = colours()
        assert all(a != b for a, b in zip(light, dark, strict=True))
        assert dark[0] == "rgb(23, 25, 27)"
        reader.one("#look").click()  # the button counts for more than the system, and stays
        assert colours() == light
        reader.open(address)
        assert colours() == light
    finally:
        reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        reader.driver.execute_script("localStorage.clear()")


def test_nothing_is_wider_than_a_phone(reader, address):
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        reader.open(address)
        assert reader.js("document.documentElement.scrollWidth") <= 400
        script = """
          const words = "h1, h2, #map .xtitle, #map .ytitle, #map .cbtitle, .axis-label";
          const boxes = [...document.querySelectorAll(words)]
            .map((e) => e.getBoundingClientRect()).filter((b) => b.width > 0);
          return boxes.some((a, i) => boxes.slice(i + 1).some((b) =>
            Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1));"""
        assert not reader.driver.execute_script(script)
    finally:
        reader.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_the_file_beside_it_the_page_says_so_and_has_its_tables(browser, tmp_path):
    (tmp_path / "report.html").write_text(page.render(payload()), encoding="utf-8")
    assert (tmp_path / "report.html").stat().st_size < 200_000
    reader = Reader(browser)
    reader.open(tmp_path / "report.html")
    assert "plotly.min.js is not beside this page" in reader.text("[role=alert]")
    assert reader.rows()
    missing = [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    assert all("plotly.min.js" in entry["message"] for entry in missing)


def test_a_map_with_cells_that_have_no_runs_is_drawn(browser, tmp_path):
    data = payload()
    for layer in data["maps"][0]["layers"].values():
        for part in layer.values():
            part[0][0] = None
    (tmp_path / "report.html").write_text(page.render(data), encoding="utf-8")
    (tmp_path / page.LIBRARY).write_text(page.library(), encoding="utf-8")
    reader = Reader(browser)
    reader.open(tmp_path / "report.html")
    assert reader.all("#map .heatmaplayer image, #map .hm")
