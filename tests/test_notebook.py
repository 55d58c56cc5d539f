"""The day of a newcomer, in a notebook: it runs as it stands, and shows what it says."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tools.notebook import notebook

DOCS = Path(__file__).parents[1] / "docs"


def test_the_notebook_is_that_of_its_script():
    written = nbformat.read(DOCS / "a_day.ipynb", as_version=4)
    assert written == notebook((DOCS / "a_day.py").read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in written.cells)


@pytest.fixture
def executed(tmp_path):
    read = nbformat.read(DOCS / "a_day.ipynb", as_version=4)
    NotebookClient(read, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    return read


def outputs(executed, word):
    """What the first cell that has a word in its source shows."""
    cell = next(c for c in executed.cells if c.cell_type == "code" and word in c.source)
    return [output for output in cell.outputs if "data" in output]


@pytest.mark.drawn
def test_a_bar_is_updated_in_its_place_and_everything_shows_itself_once(executed):
    bar, shown = outputs(executed, 'grokjax.run(experiment, "a_day")')
    assert "8 finished" in bar["data"]["text/html"]
    assert "8 runs" in shown["data"]["text/html"]
    for word in ('plot("curves")', 'plot("t_grok")', "page.savefig"):
        pictures = [o for o in outputs(executed, word) if "image/png" in o["data"]]
        assert len(pictures) == 1
    streams = [o for c in executed.cells for o in c.get("outputs", []) if o.output_type == "stream"]
    assert [o.text for o in streams if o.name == "stderr"] == []
    assert "300.0" in json.dumps(outputs(executed, "results.cells()")[0]["data"])
