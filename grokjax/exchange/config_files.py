"""Files of hyperparameters that stand beside curves: JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grokjax.config import ConfigError
from grokjax.exchange import json_curves
from grokjax.results.outside import regular, unreadable

NAMES = (
    "config", "args", "params", "hparams", "hyperparameters", "hyperparams", "settings", "options",
    "opts", "flags", "run_config",
)  # fmt: skip
"""Names of files beside curves that hold hyperparameters, as JSON or YAML."""


def beside(path: Path, top: Path) -> dict[str, Any]:
    """Hyperparameters beside a file of curves and above it, up to `top`; the nearest one counts."""
    found: dict[str, Any] = {}
    for folder in reversed([folder for folder in path.parents if folder.is_relative_to(top)]):
        for name in NAMES:
            for place in (folder, folder / ".hydra", folder / "files"):
                for ending in (".json", ".yaml", ".yml"):
                    if (config := place / f"{name}{ending}").is_file():
                        found |= read(config)
    for ending in (".json", ".yaml", ".yml"):
        same = path.with_suffix(ending)
        if same != path and same.is_file() and not json_curves.has_curves(same):
            found |= read(same)
    return found


def read(path: Path) -> dict[str, Any]:
    """The hyperparameters in a JSON or YAML file, nested ones by their last name."""
    try:
        text = regular(path).read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            value = json.loads(text)
        else:
            import yaml

            try:
                value = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ValueError(error) from None
        return json_curves.flat(value) if isinstance(value, Mapping) else {}
    except ImportError:
        raise ConfigError(f"{path}: YAML needs PyYAML, `pip install pyyaml`.") from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        remedy = "mend the configuration, or take it away"
        raise unreadable(path, error, remedy) from None
