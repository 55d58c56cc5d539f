"""The tokens of a row in text, such as `a op b =`: operands, and words that are tokens themselves.

>>> check_format("op a b", 2)
>>> default_format(3)
'a b c ='
"""

from __future__ import annotations

from grokjax.config.coercion import require
from grokjax.config.formulas import LETTERS, place

MOST_WORDS = 64
"""Tokens of a row."""


def default_format(operands: int) -> str:
    """The operands one after another, and the sign =."""
    return " ".join([*LETTERS[:operands], "="])


def check_format(text: str, operands: int, field: str = "format") -> None:
    """Refuse a text that does not hold every operand, or names one otherwise than by its letter.

    Args:
      text: tokens of a row, with spaces between them.
      operands: number of operands, which are called a, b, c and so on.
      field: that it was given for, to be named in messages.
    """
    words, letters = text.split(), LETTERS[:operands]
    remedy = f"write it with single spaces, as in {default_format(operands)!r}"
    require(text == " ".join(words), field, text, remedy)
    require(len(words) <= MOST_WORDS, field, text, f"give at most {MOST_WORDS} tokens")
    called = f"{', '.join(letters[:-1])} and {letters[-1]}" if operands > 1 else letters
    for word in words:
        other = place(word) is not None and word not in letters
        remedy = f"{word} would be a word of its own, for operands are called {called} here"
        require(not other, field, text, remedy)
    for letter in letters:
        require(letter in words, field, text, f"operand {letter} is not in it, write {called}")


def token_words(text: str) -> tuple[str, ...]:
    """The words of a format that are tokens of their own, in the order of these tokens.

    >>> token_words("BOS a op b =")
    ('=', 'op', 'BOS')
    """
    words = dict.fromkeys(word for word in text.split() if place(word) is None)
    first = [word for word in ("=", "op") if word in words]
    return tuple(dict.fromkeys([*first, *words]))
