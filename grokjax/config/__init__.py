"""What an experiment is: frozen dataclasses, checked when they are built.

The ground that both towers stand on, so nothing here may import JAX, NumPy or
any other room of grokjax.
"""

from grokjax.config.axes import Sweep, grid, zipped
from grokjax.config.experiment import Experiment, Thresholds
from grokjax.config.fields import Config, ConfigError
from grokjax.config.parts import OPERATIONS, AdamW, ModularArithmetic, Refine, Transformer

__all__ = [
    "OPERATIONS",
    "AdamW",
    "Config",
    "ConfigError",
    "Experiment",
    "ModularArithmetic",
    "Refine",
    "Sweep",
    "Thresholds",
    "Transformer",
    "grid",
    "zipped",
]
