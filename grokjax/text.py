"""Text of others on its way to a terminal."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but for tab and new line, those that turn the direction of a line, and the
halves of characters that names in other encodings become."""


def printable(text: str) -> str:
    r"""The text with what a terminal would obey, or could not show, spelt out.

    >>> printable("\x1b[31mred\x1b[0m")
    '\\x1b[31mred\\x1b[0m'
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
