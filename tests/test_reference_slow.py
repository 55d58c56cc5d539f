"""Numbers of other people's, reproduced; minutes long, so run by hand."""

from pathlib import Path

import pytest

import grokjax
from grokjax import experiment_file

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.mark.slow
def test_five_seeds_bracket_the_printed_onsets_of_an_independent_implementation():
    """575-lab/grokking-mechanism: train > 0.99 at step 93 and test > 0.90 at step 1,637."""
    experiment, _ = experiment_file.read(EXPERIMENTS / "reference_p53.py")
    runs = grokjax.run(experiment).runs
    for column, printed in (("t_mem", 93), ("t_grok", 1637)):
        assert runs[column].notna().all()
        assert printed / 1.5 <= runs[column].median() <= printed * 1.5
        assert runs[column].min() <= 1.5 * printed
        assert runs[column].max() >= printed / 1.5
