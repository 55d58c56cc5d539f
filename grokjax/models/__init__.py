"""Networks as pure functions of (model, dataset, layout, parameters, rows).

May import config and JAX, and nothing of training or the engine. What is exported here
is all that the rest of grokjax knows of Flax.
"""

from grokjax.models.layout import SHARING_PAYS, Layout, layout_by_nodes, layout_by_rows
from grokjax.models.networks import apply, init, layout, network
from grokjax.models.roles import group, rates, role

__all__ = [
    "SHARING_PAYS",
    "Layout",
    "apply",
    "group",
    "init",
    "layout",
    "layout_by_nodes",
    "layout_by_rows",
    "network",
    "rates",
    "role",
]
