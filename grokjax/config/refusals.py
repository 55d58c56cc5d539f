"""What a refusal quotes, made fit to be read: on one line, short, and obeyed by no terminal."""

from __future__ import annotations

import re

MOST_CHARACTERS = 290
"""Of a refusal; with what stands before it on a terminal it has 300 at most."""
MOST_OF_A_VALUE = 120
"""Of a value that is refused: a longer one is cut in its middle."""
_LEAST_OF_A_PIECE = 40
_PIECES = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\([^)]*\)|\S+")


def shown(value: object, most: int = MOST_OF_A_VALUE) -> str:
    """A value as one would write it, cut in its middle where that is long."""
    try:
        written = repr(value)
    except Exception:  # of a user's own class, or of a number with more digits than Python writes
        size = f" of {value.bit_length()} bits" if isinstance(value, int) else ""
        written = f"<{type(value).__name__}{size}>"
    return cut(written, most)


def cut(text: str, most: int) -> str:
    """A text with … in the place of its middle where it is longer."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def one_line(text: str) -> str:
    """A text with what is not printed, line ends and terminal codes say, in Python's escapes."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def brief(sentence: str) -> str:
    """A sentence of at most `MOST_CHARACTERS`: what it quotes is cut, longest first.

    Where it quotes nothing long, its middle is left out: the field stands at its beginning and the
    remedy at its end.
    """
    while (excess := len(sentence) - MOST_CHARACTERS) > 0:
        longest = max(_PIECES.finditer(sentence), key=lambda piece: len(piece[0]), default=None)
        if longest is None or len(longest[0]) <= _LEAST_OF_A_PIECE:
            return cut(sentence, MOST_CHARACTERS)
        kept = cut(longest[0], max(_LEAST_OF_A_PIECE, len(longest[0]) - excess - 1))
        sentence = sentence[: longest.start()] + kept + sentence[longest.end() :]
    return sentence
