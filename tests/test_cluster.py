"""A sweep on workers is the sweep of one process, bit for bit, however it is cut and whoever dies."""

import pandas as pd
import pytest
from crashes import assert_same_rows, small, swept
from workers import Here, run

import grokjax

MEASURES = ["run_id", "step", "instrument", "part"]


@pytest.fixture(scope="module")
def experiment():
    return swept(small(), weight_decay=[0.1, 1.0], seed=range(3))


@pytest.fixture(scope="module")
def alone(experiment, tmp_path_factory):
    """The folder of the sweep in one process, in two lanes."""
    folder = tmp_path_factory.mktemp("alone") / "sweep"
    grokjax.run(experiment, folder, lanes=2, progress=False)
    return folder


def test_tables_are_those_of_one_process(experiment, alone, tmp_path):
    engine = Here(order=1)
    results = run(experiment, tmp_path / "sweep", engine)
    assert results.finished and len(engine.jobs) == 1 + 3  # one of them calibrates
    assert_same_rows(tmp_path / "sweep", alone)
    found = {p.name for p in (tmp_path / "sweep").iterdir()}
    assert found == {p.name for p in alone.iterdir()}
