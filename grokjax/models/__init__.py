"""Networks as pure functions of (model, dataset, layout, parameters, rows).

This package may import config, tasks and JAX, and nothing of training or the engine. Other packages
use the functions exported here and never Flax itself.
"""

from grokjax.models.layout import SHARING_PAYS, Layout, layout_by_nodes, layout_by_rows
from grokjax.models.looks import Looks
from grokjax.models.networks import apply, init, layout, look, network, plain_layout
from grokjax.models.roles import group, rates, role

__all__ = [
    "SHARING_PAYS",
    "Layout",
    "Looks",
    "apply",
    "group",
    "init",
    "layout",
    "layout_by_nodes",
    "layout_by_rows",
    "look",
    "network",
    "plain_layout",
    "rates",
    "role",
]
