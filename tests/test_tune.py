"""How lanes are chosen: by a timing, once, and only where that is worth it."""

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import grokjax
from grokjax.engine import caches, plan, tune
from grokjax.engine.tune import Timing


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(caches, "folder", lambda: tmp_path / "cache")


@pytest.fixture
def programs(tiny):
    """Two training-set sizes of one family, 32 runs each."""
    sweep = grokjax.grid(train_fraction=[0.5, 0.9], seed=range(32))
    return plan.make(dataclasses.replace(tiny, sweep=sweep))


def machine(monkeypatch, cost_of_lanes, holds=math.inf):
    """A machine on which an update of a run takes this long, by lanes and tiles."""
    timed = []

    def measure(program):
        lanes, tiles = program.lanes, program.spec.tiles
        timed.append((lanes, tiles))
        seconds = cost_of_lanes(lanes) if lanes / tiles <= holds else math.inf
        return Timing(lanes, tiles, seconds, 0)

    monkeypatch.setattr(tune, "measure", measure)
    monkeypatch.setattr(tune, "WORTH_SECONDS", 0)
    return timed


def tuned(programs, recorded=()):
    return tune.tuned(programs, recorded, say=lambda activity: None)


@pytest.mark.parametrize(
    ("cost_of_lanes", "best"),
    [
        (lambda lanes: 1 / lanes, 32),
        (lambda lanes: 1 + lanes, 1),
        (lambda lanes: abs(lanes - 16) + 1, 16),
        (lambda lanes: 1.0, 1),
    ],
    ids=["more is better", "one is best", "in between", "no difference"],
)
def test_lanes_are_doubled_or_halved_as_long_as_it_pays(programs, monkeypatch, cost_of_lanes, best):
    timed = machine(monkeypatch, cost_of_lanes)
    found = tuned(programs)
    assert [program.lanes for program in found] == [best, best]
    assert [program.runs for program in found] == [program.runs for program in programs]
    assert len(timed) <= 7


def test_the_next_process_remembers_and_an_earlier_start_is_kept(programs, monkeypatch):
    timed = machine(monkeypatch, lambda lanes: 1 + lanes)
    first = tuned(programs)
    count = len(timed)
    assert tuned(programs) == first
    assert len(timed) == count
    assert tuned(programs, {program.name for program in programs}) == programs


def test_what_does_not_fit_gets_fewer_lanes_and_then_tiles(programs, monkeypatch):
    machine(monkeypatch, lambda lanes: 1 / lanes, holds=4)
    assert {program.lanes for program in tuned(programs)} == {4}


def test_a_lane_that_does_not_fit_is_tiled(programs, monkeypatch):
    machine(monkeypatch, lambda lanes: 1 / lanes, holds=1 / 4)
    assert {(p.lanes, p.spec.tiles) for p in tuned(programs)} == {(1, 4)}


def test_a_short_sweep_is_not_timed(programs, monkeypatch):
    monkeypatch.setattr(tune, "measure", None)
    assert tuned(programs) == programs


@pytest.mark.drawn
def test_a_measured_shape_is_the_one_asked_for(programs):
    program = dataclasses.replace(programs[0], lanes=2)
    found = tune.measure(program)
    assert (found.lanes, found.tiles) == (2, 1)
    assert 0 < found.run_step_seconds < 1
    assert found.bytes > 0


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(caches, "folder", lambda: tmp_path / "file")
    caches.remember("key", 1)
    assert caches.recall("key") is None


@pytest.mark.parametrize("flags", ["", "--xla_force_host_platform_device_count=3"])
def test_every_core_is_a_device_unless_the_user_says_otherwise(tmp_path, flags):
    script = """
import os, jax
from grokjax.engine import backend
backend.prepare()
print(jax.local_device_count(), backend.cores(), jax.config.jax_compilation_cache_dir)
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    devices, cores, folder = done.stdout.split()
    assert devices == ("3" if flags else cores)
    assert Path(folder) == tmp_path / "grokjax" / "xla"
