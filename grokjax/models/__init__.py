"""Networks as pure functions of (network, parameters, layout, rows).

May import config and JAX, and nothing of training or the engine. `init` and `apply`
are all that the rest of grokjax knows of Flax.
"""

from grokjax.models.layout import SHARING_PAYS, Layout, factorised, plain
from grokjax.models.transformer import Network, apply, init

__all__ = ["SHARING_PAYS", "Layout", "Network", "apply", "factorised", "init", "plain"]
