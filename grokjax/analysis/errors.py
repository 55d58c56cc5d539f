"""What the analysis refuses because of the data, and not because of how it was asked."""

from __future__ import annotations

from grokjax.config import ConfigError


class NotEnoughRunsError(ConfigError):
    """The runs are too few, or too much alike, for what was asked of them."""
