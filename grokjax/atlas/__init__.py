"""The atlas: published claims on grokking, each with an experiment that can decide it.

A claim is a file, `experiments/atlas/NAME.py`, that was written before its runs: the sentence, its
source, what would confirm it and what would refute it, the experiments, and the function that makes
a verdict of their results. `python -m grokjax.atlas` lists what has been decided.

Nothing slow is imported here: what computes imports NumPy and pandas when it is called.
"""

from grokjax.atlas.claim import CONFIRMED, CONTRADICTED, HERE_ONLY, NOT_DECIDED, Claim, Decision
from grokjax.atlas.effects import (
    Effect,
    all_of,
    difference,
    exponent,
    judge,
    ratio,
    resampled,
    share,
    slope,
    told,
)

__all__ = [
    "CONFIRMED",
    "CONTRADICTED",
    "HERE_ONLY",
    "NOT_DECIDED",
    "Claim",
    "Decision",
    "Effect",
    "all_of",
    "difference",
    "exponent",
    "judge",
    "ratio",
    "resampled",
    "share",
    "slope",
    "told",
]
