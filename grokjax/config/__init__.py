"""The configuration of an experiment: frozen dataclasses, checked when they are built.

Every other package imports this one, and this one imports no other of grokjax, nor JAX, nor NumPy,
so that looking at results or asking for help takes no time. A file here has the same name as the
one in `tasks`, `models`, `training` or `engine` that does what it configures. The public names of
grokjax are those in the `__all__` of each file here, and are written nowhere else.
"""

from typing import Any

from grokjax.config import (
    axes,
    boolean,
    changes,
    cluster,
    donors,
    experiment,
    fields,
    groups,
    images,
    instruments,
    landscape,
    losses,
    masks,
    modifiers,
    modular,
    networks,
    operation,
    optimizers,
    parts,
    perceptron,
    refine,
    regression,
    row_groups,
    rows,
    sequences,
    snapshots,
    splits,
    structures,
    thresholds,
    transformer,
)
from grokjax.config.axes import *
from grokjax.config.boolean import *
from grokjax.config.changes import *
from grokjax.config.cluster import *
from grokjax.config.donors import *
from grokjax.config.experiment import *
from grokjax.config.fields import *
from grokjax.config.groups import *
from grokjax.config.images import *
from grokjax.config.instruments import *
from grokjax.config.landscape import *
from grokjax.config.losses import *
from grokjax.config.masks import *
from grokjax.config.modifiers import *
from grokjax.config.modular import *
from grokjax.config.networks import *
from grokjax.config.operation import *
from grokjax.config.optimizers import *
from grokjax.config.parts import *
from grokjax.config.perceptron import *
from grokjax.config.refine import *
from grokjax.config.regression import *
from grokjax.config.row_groups import *
from grokjax.config.rows import *
from grokjax.config.sequences import *
from grokjax.config.snapshots import *
from grokjax.config.splits import *
from grokjax.config.structures import *
from grokjax.config.thresholds import *
from grokjax.config.transformer import *

__all__: list[str] = []
__all__ += axes.__all__
__all__ += boolean.__all__
__all__ += changes.__all__
__all__ += cluster.__all__
__all__ += donors.__all__
__all__ += experiment.__all__
__all__ += fields.__all__
__all__ += groups.__all__
__all__ += images.__all__
__all__ += instruments.__all__
__all__ += landscape.__all__
__all__ += losses.__all__
__all__ += masks.__all__
__all__ += modifiers.__all__
__all__ += modular.__all__
__all__ += networks.__all__
__all__ += operation.__all__
__all__ += optimizers.__all__
__all__ += parts.__all__
__all__ += perceptron.__all__
__all__ += refine.__all__
__all__ += regression.__all__
__all__ += row_groups.__all__
__all__ += rows.__all__
__all__ += sequences.__all__
__all__ += snapshots.__all__
__all__ += splits.__all__
__all__ += structures.__all__
__all__ += thresholds.__all__
__all__ += transformer.__all__

INSTRUMENTS: dict[str, type[Instrument]] = {
    getattr(room, name).kind: getattr(room, name)
    for room in (instruments, structures, landscape, row_groups)
    for name in room.__all__
}
"""Kind → the instrument, of all that come with grokjax."""

RENAMED = {
    "Group": "FiniteGroup",
    "Groups": "ParameterGroups",
    "Program": "RegisterProgram",
    "Snapshot": "StartFrom",
    "Snapshots": "SnapshotSchedule",
}
"""Public names of older versions of grokjax → what they are called now."""


def __getattr__(name: str) -> Any:
    """Say what became of a name that an older grokjax had."""
    if name in RENAMED:
        raise ConfigError(f"{name}: this name is now {RENAMED[name]}, write that instead.")
    raise AttributeError(f"module 'grokjax.config' has no attribute {name!r}")
