"""Where claims, their results and their verdicts lie.

`experiments/atlas/NAME.py` is a claim, and `sources.toml` beside it says how far each was checked
against its source. `results/atlas/NAME/` has `verdict.json`, `table.csv` (what
the verdict was computed from) and `figure.png`, and in `sweeps/` the results folders, which are not
kept in the repository. Both are looked for below the current folder.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from grokjax import experiment_file
from grokjax.atlas.claim import Claim
from grokjax.config import ConfigError
from grokjax.config.refusals import shown
from grokjax.config.synonyms import suggestion

CLAIMS = Path("experiments/atlas")
RESULTS = Path("results/atlas")
PAGE = Path("docs/atlas.md")
SOURCES = "sources.toml"
VERDICT, TABLE, FIGURE, SWEEPS = "verdict.json", "table.csv", "figure.png", "sweeps"


def names() -> list[str]:
    """The names of the claims that there are, sorted."""
    found = sorted(path.stem for path in CLAIMS.glob("*.py"))
    if not found:
        raise ConfigError(
            f"claims={str(CLAIMS)!r}: there are none in {Path.cwd()}, change to a checkout of "
            f"grokjax "
            "or make the folder."
        )
    return found


def check_known(chosen: list[str]) -> None:
    """Refuse names that no claim has."""
    known = names()
    for name in chosen:
        if name not in known:
            raise ConfigError(f"NAME={name!r}: {suggestion(name, known)}")


def path_of(name: str) -> Path:
    """The file of a claim."""
    return CLAIMS / f"{name}.py"


def read(name: str) -> Claim:
    """The `claim` that its file defines.

    Raises:
      ConfigError: the file fails, or defines no claim.
    """
    module, _ = experiment_file.execute(path_of(name))
    claim = vars(module).get("claim")
    if not isinstance(claim, Claim):
        raise ConfigError(
            f"claim={shown(claim)}: {path_of(name)} must define `claim = grokjax.atlas.Claim(...)`."
        )
    return claim


def sources() -> dict[str, dict[str, Any]]:
    """Claim → how it was `checked` against its source, and what the check `says`."""
    path = CLAIMS / SOURCES
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def hash_of(name: str) -> str:
    """A hash of a claim's file: of its definitions as much as of its sentence."""
    return hashlib.blake2b(path_of(name).read_bytes(), digest_size=8).hexdigest()
