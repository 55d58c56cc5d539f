"""Settings of other people's experiments in whole sweeps: clipping, batches, half precision."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from crashes import Killed, crash_before_nth_write
from vocabulary import BASE

import grokjax
from grokjax import (
    ClipNorm,
    Clipping,
    ClipValue,
    ConfigError,
    GrokfastEMA,
    SnapshotSchedule,
    grid,
    measure,
)
from grokjax.engine import compiling
from grokjax.engine.checkpoint import Checkpoints

KEY = ["run_id", "step", "part"]
CLIPPED = dataclasses.replace(
    BASE,
    dtype="float32",
    loss_dtype="bfloat16",
    modifiers=(ClipNorm(0.1), GrokfastEMA(), ClipNorm(0.3), ClipValue(0.02)),
    instruments=(Clipping(),),
    batch_size=0.3,
    batches="keep_last",
    label_noise=0.2,
    label_noise_kind="other",
    settle_steps=None,
    snapshots=SnapshotSchedule(at=(20,), with_optimizer=True),
    sweep=grid({"modifiers.0.max_norm": [1e-9, 0.1, 1e9]}, seed=range(2)),
)


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    """The programs here take longer to optimise than to run."""
    before = compiling.COMPILER_OPTIONS["cpu"]
    compiling.COMPILER_OPTIONS["cpu"] = compiling.RARELY_RUN["cpu"]
    yield
    compiling.COMPILER_OPTIONS["cpu"] = before


def in_order(measures):
    return measures.sort_values(KEY, ignore_index=True)


@pytest.fixture(scope="module")
def clipped(tmp_path_factory):
    return grokjax.run(CLIPPED, tmp_path_factory.mktemp("clipped") / "r", lanes=2, progress=False)


@pytest.mark.drawn
def test_the_share_of_clipped_updates_is_between_log_points_and_by_limit(clipped):
    wide = clipped.measures_wide(["clipping"]).merge(clipped.runs, on="run_id")
    parts = ["clipping.clip_norm", "clipping.clip_norm.2", "clipping.clip_value"]
    assert set(parts) <= set(wide)
    assert (wide.loc[wide["step"] == 0, parts] == 0).all(axis=None)
    later = wide[wide["step"] > 0]
    by_limit = later.groupby("modifiers_0_max_norm")["clipping.clip_norm"]
    assert by_limit.min()[1e-9] == 1 and by_limit.max()[1e9] == 0
    assert 0 < by_limit.mean()[0.1] < 1
    assert np.allclose(later[parts] * 10, (later[parts] * 10).round())


@pytest.mark.drawn
def test_the_share_is_that_of_the_gradients_which_the_curves_show(tmp_path):
    """With a row of the curves for every update these say which of them were too long."""
    every = dataclasses.replace(
        BASE, modifiers=(ClipNorm(0.15),), instruments=(Clipping(),), steps=40, log_every=1
    )
    results = grokjax.run(every, tmp_path / "r", progress=False)
    was_long = results.curves["grad_norm"].to_numpy() > 0.15
    assert 0 < was_long.mean() < 1
    np.testing.assert_array_equal(results.measures["value"], [0, *was_long[:-1]])


@pytest.mark.drawn
def test_a_killed_sweep_that_clips_goes_on_to_the_same_bits(clipped, tmp_path, small_ticks):
    for n in (2, 4):
        folder = tmp_path / f"{n}"
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, False, [(Checkpoints, "save")])
            with pytest.raises(Killed):
                grokjax.run(CLIPPED, folder, lanes=2, progress=False)
        results = grokjax.run(CLIPPED, folder, lanes=2, progress=False)
        pd.testing.assert_frame_equal(in_order(results.measures), in_order(clipped.measures))
        key = ["run_id", "step"]
        found, whole = (r.curves.sort_values(key, ignore_index=True) for r in (results, clipped))
        pd.testing.assert_frame_equal(found, whole)


def test_clipping_is_measured_where_something_clips_and_while_it_does(clipped):
    with pytest.raises(ConfigError, match=r"nothing clips gradients, give modifiers=\[ClipNorm"):
        dataclasses.replace(BASE, instruments=(Clipping(),))
    with pytest.raises(ConfigError, match="snapshots do not tell what updates did"):
        measure.snapshots(clipped.path, [Clipping()])
    for made in (lambda: ClipNorm(0.0), lambda: ClipValue(-1.0)):
        with pytest.raises(ConfigError, match="give a positive number"):
            made()
