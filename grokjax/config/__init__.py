"""What an experiment is: frozen dataclasses, checked when they are built.

The ground that both towers stand on, so nothing here may import JAX, NumPy or
any other room of grokjax.
"""

from grokjax.config.algebra import OPERATIONS, Group, ModularArithmetic
from grokjax.config.axes import Sweep, grid, zipped
from grokjax.config.experiment import Experiment
from grokjax.config.fields import Config, ConfigError
from grokjax.config.given import MNIST, Digits, Table
from grokjax.config.interventions import Change, Mask, Snapshot, Snapshots
from grokjax.config.losses import CrossEntropy, Hinge, MeanSquaredError, StableMax
from grokjax.config.models import MLP, Network, Transformer
from grokjax.config.optimizers import (
    L1,
    SAM,
    SGD,
    Adam,
    AdamW,
    DecayToStart,
    GradientNoise,
    GrokfastEMA,
    GrokfastMA,
    Groups,
    Lion,
    Muon,
    NormClamp,
    NormProjection,
    OrthoGrad,
    RMSProp,
    WeightNoise,
)
from grokjax.config.parts import Loss, Model, Modifier, Optimizer, Task
from grokjax.config.refine import Refine
from grokjax.config.sequences import Program, Reachability, Sequence, TwoHop
from grokjax.config.synthetic import (
    Conjunction,
    Majority,
    PolynomialRegression,
    SparseParity,
    TeacherStudent,
)
from grokjax.config.thresholds import Thresholds

__all__ = [
    "L1",
    "MLP",
    "MNIST",
    "OPERATIONS",
    "SAM",
    "SGD",
    "Adam",
    "AdamW",
    "Change",
    "Config",
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
    "Loss",
    "Majority",
    "Mask",
    "MeanSquaredError",
    "Model",
    "Modifier",
    "ModularArithmetic",
    "Muon",
    "Network",
    "NormClamp",
    "NormProjection",
    "Optimizer",
    "OrthoGrad",
    "PolynomialRegression",
    "Program",
    "RMSProp",
    "Reachability",
    "Refine",
    "Sequence",
    "Snapshot",
    "Snapshots",
    "SparseParity",
    "StableMax",
    "Sweep",
    "Table",
    "Task",
    "TeacherStudent",
    "Thresholds",
    "Transformer",
    "TwoHop",
    "WeightNoise",
    "grid",
    "zipped",
]
