"""Which part of a matrix the suite tests at this commit; the rest is slow, and runs by hand.

The part changes from commit to commit, so that in the end all of it is tested, and is the same on
every machine and in every process of a run. `GROKJAX_SAMPLE=WORD` draws another one, a commit's
hash the one of that commit.
"""

import functools
import hashlib
import math
import os
import subprocess
from pathlib import Path

import pytest


@functools.cache
def commit():
    """The commit that is tested; "" where there is no git to ask."""
    if "GROKJAX_SAMPLE" in os.environ:
        return os.environ["GROKJAX_SAMPLE"]
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def place(item):
    """A number of an item at this commit, evenly distributed below 2⁶⁴."""
    text = f"{commit()} {item!r}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def sampled(items, one_of, always=()):
    """Parameters of a test: one of so many items, and all of `always`; the others are slow."""
    items = list(items)
    by_chance = sorted((item for item in items if item not in always), key=place)
    drawn = by_chance[: math.ceil(len(by_chance) / one_of)]
    return [item if item in always or item in drawn else _slow(item) for item in items]


def _slow(item):
    values = item if isinstance(item, tuple) else (item,)
    return pytest.param(*values, marks=pytest.mark.slow)
