"""Intervals hold the truth as often as they say: a small study, and what the large one found."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from grokjax.analysis import synthetic

STUDY = Path(__file__).parents[1] / "results" / "recorded" / "coverage"
REPETITIONS = 20


def test_a_repetition_finds_what_it_was_made_with():
    repetition = runpy.run_path(str(STUDY / "make.py"))["repetition"]
    found = repetition(1000, synthetic.Truth(sigma=0.4, seed_sigma=0.3), 5)
    values = pd.Series({name: at for name, at in found.items() if name.startswith("value: ")})
    assert values.notna().all()
    assert abs(values["value: exponent"] + 0.8) < 0.15
    assert found["exponent"]  # its interval holds the truth


@pytest.mark.slow  # the recorded study is larger, and looked at below
def test_a_small_study_of_coverage():
    """At 95 %, 15 or fewer of 20 happen once in 3,000 times."""
    repetition = runpy.run_path(str(STUDY / "make.py"))["repetition"]
    truth = synthetic.Truth(sigma=0.4, seed_sigma=0.3)
    drawn = pd.DataFrame([repetition(1000 + i, truth, 5) for i in range(REPETITIONS)])
    held = drawn.drop(columns=[name for name in drawn if name.startswith("value: ")]).sum()
    dropped = held.pop("exponent, censored runs dropped")
    assert held.min() > 15, held
    assert dropped < 15  # what leaving censored runs out does
    assert drawn["value: exponent, censored runs dropped"].mean() > -0.77
    assert abs(drawn["value: exponent"].mean() + 0.8) < 0.02


def test_the_recorded_study_is_large_enough_and_its_intervals_cover():
    """Between 93 and 97 %, give or take two standard errors of the study itself."""
    found = pd.read_csv(STUDY / "coverage.csv")
    assert found["repetitions"].min() >= 400
    kept = found[~found["quantity"].str.contains("dropped|taken for")]
    assert (kept["coverage"] > 0.93 - 2 * kept["error"]).all()
