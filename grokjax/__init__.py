"""grokjax: maps of grokking, hundreds of training runs at a time.

An `Experiment` says which runs, `run` trains them, `load` reads what they left.
Importing grokjax imports next to nothing; only `run` imports JAX.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grokjax.config import (
        L1,
        MLP,
        MNIST,
        SAM,
        SGD,
        Adam,
        AdamW,
        Change,
        ConfigError,
        Conjunction,
        CrossEntropy,
        DecayToStart,
        Digits,
        Experiment,
        GradientNoise,
        GrokfastEMA,
        GrokfastMA,
        Group,
        Groups,
        Hinge,
        Lion,
        Majority,
        Mask,
        MeanSquaredError,
        ModularArithmetic,
        Muon,
        NormClamp,
        NormProjection,
        OrthoGrad,
        PolynomialRegression,
        Program,
        Reachability,
        Refine,
        RMSProp,
        Sequence,
        Snapshot,
        Snapshots,
        SparseParity,
        StableMax,
        Sweep,
        Table,
        TeacherStudent,
        Thresholds,
        Transformer,
        TwoHop,
        WeightNoise,
        grid,
        zipped,
    )
    from grokjax.engine.sweep import run
    from grokjax.results.load import Results, load

__all__ = [
    "L1",
    "MLP",
    "MNIST",
    "SAM",
    "SGD",
    "Adam",
    "AdamW",
    "Change",
    "ConfigError",
    "Conjunction",
    "CrossEntropy",
    "DecayToStart",
    "Digits",
    "Experiment",
    "GradientNoise",
    "GrokfastEMA",
    "GrokfastMA",
    "Group",
    "Groups",
    "Hinge",
    "Lion",
    "Majority",
    "Mask",
    "MeanSquaredError",
    "ModularArithmetic",
    "Muon",
    "NormClamp",
    "NormProjection",
    "OrthoGrad",
    "PolynomialRegression",
    "Program",
    "RMSProp",
    "Reachability",
    "Refine",
    "Results",
    "Sequence",
    "Snapshot",
    "Snapshots",
    "SparseParity",
    "StableMax",
    "Sweep",
    "Table",
    "TeacherStudent",
    "Thresholds",
    "Transformer",
    "TwoHop",
    "WeightNoise",
    "grid",
    "load",
    "run",
    "zipped",
]
__version__ = "0.1.0"

_LATE = {"run": "grokjax.engine.sweep", "load": "grokjax.results.load"}
_LATE["Results"] = _LATE["load"]


def __getattr__(name: str) -> Any:
    """Import a room when somebody asks for what is in it: a command is in its own hands by then."""
    if name not in __all__:
        raise AttributeError(f"module 'grokjax' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATE.get(name, "grokjax.config")), name)


def __dir__() -> list[str]:
    """What the module has, whether it is imported yet or not."""
    return sorted({*globals(), *__all__})
