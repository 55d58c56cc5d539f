"""A table of the user's own rows."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import reprlib
import warnings
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

from grokjax.config import files
from grokjax.config.coercion import ConfigError, require
from grokjax.config.fields import data
from grokjax.config.parts import RowError, Task
from grokjax.config.splits import SET_NAMES

__all__ = ["Table"]

MOST_TOKENS = 1_000_000
"""Tokens and classes are below this number, for a network has weights for every one of them."""


MOST_BITS = 8
"""Columns of zeros and ones from which on it is worth a warning that they are tokens."""


class Numbers(tuple[Any, ...]):
    """Rows or single numbers that have been checked, and what is worth knowing about them.

    A configuration is copied often and every copy is checked. Numbers that are of this class have
    been checked already and are taken as they are, or a large table would be read at every copy.
    """

    whole: bool
    """Whether every number is a whole one."""
    largest: float
    width: int
    """How many numbers a row has; 0 for single numbers."""
    checksum: str


def _refuse(where: str, value: object, remedy: str) -> NoReturn:
    """Raise a `ConfigError` that quotes no more than the beginning of a long row."""
    raise ConfigError(f"{where}={reprlib.repr(value)}: {remedy}.")


def _plain(value: Any) -> Any:
    """Lists, arrays and frames as nested tuples."""
    for convert in ("to_numpy", "tolist"):
        value = getattr(value, convert)() if hasattr(value, convert) else value
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


class Names(tuple[str, ...]):
    """Names that have been checked."""


def check_numbers(name: str, given: Any, *, wide: bool | None) -> Numbers:
    """The given numbers as whole ones or floats, with their checksum.

    Args:
      name: the field that they are given for, to be named in messages.
      given: a list, array or data frame of them, or `Numbers`.
      wide: whether these are rows of equally many numbers, or one number each; None: the first
        says.
    """
    if isinstance(given, Numbers) and wide in (given.width > 0, None):
        return given
    items = _plain(given)
    if wide is None:
        wide = isinstance(items, tuple) and bool(items) and isinstance(items[0], tuple)
        if wide and all(isinstance(item, tuple) and len(item) == 1 for item in items):
            items, wide = tuple(item[0] for item in items), False  # a frame's one column
    if not isinstance(items, tuple) or len(items) < 2:
        _refuse(name, items, f"give a list of 2 or more {'rows' if wide else 'numbers'}")
    width = _width(name, items) if wide else 0
    flat = _flat(name, list(itertools.chain.from_iterable(items) if wide else items), width)
    numbers = Numbers(zip(*[iter(flat)] * width, strict=True) if wide else flat)
    numbers.whole, numbers.largest, numbers.width = isinstance(flat[0], int), max(flat), width
    if wide and numbers.whole and numbers.largest == 1:
        _check_bits(name, numbers)
    content = array("q" if numbers.whole else "d", flat)
    shape = f"{content.typecode} {len(numbers)} {width} ".encode()
    numbers.checksum = hashlib.sha256(shape + content.tobytes()).hexdigest()
    return numbers


def _check_bits(name: str, rows: Numbers) -> None:
    """Refuse tokens that can only be meant as one-hot numbers, and warn of those that may be.

    Bits are a fine alphabet, but a table of a hundred of them is seldom a hundred tokens long.
    """
    numbers = "write decimals for plain numbers, such as array.astype(float)"
    if size := _one_hot_size(rows):
        blocks = rows.width // size
        columns = "1 column" if blocks == 1 else f"{blocks} columns"
        remedy = f"every {size} columns have a single 1, which is one-hot, but whole numbers are "
        remedy += f"tokens: {numbers}, or the tokens themselves, 0 … {size - 1} in {columns}"
        _refuse(name, rows[0], remedy)
    if rows.width > MOST_BITS:
        tokens = f"{name}: {rows.width} zeros and ones in a row are read as {rows.width} tokens"
        # Of the frames between, the last is the call of `Table`.
        warnings.warn(f"{tokens}, as whole numbers are: {numbers}.", stacklevel=6)


def _one_hot_size(rows: Numbers) -> int:
    """Columns of each block that has a single 1 in every row; 0 where that is not so."""
    blocks = sum(rows[0])
    size = rows.width // blocks if blocks and rows.width % blocks == 0 else 0
    if size < 3:  # pairs of bits are as likely to be tokens
        return 0
    starts = range(0, rows.width, size)
    whole = all(sum(row[at : at + size]) == 1 for row in rows for at in starts)
    used = all(map(any, zip(*rows, strict=True)))  # no column is there for nothing
    return size if whole and used else 0


def check_sets(given: Any) -> Numbers:
    """The sets of rows as numbers, 0 train, 1 test, 2 neither; nothing where nothing is given."""
    if isinstance(given, Numbers) or not len(given):
        return given or Numbers()
    items = _plain(given)
    for at, name in enumerate(items):
        remedy = f"write one of {', '.join(SET_NAMES)}"
        if name not in SET_NAMES:
            _refuse(f"sets[{at}]", name, remedy)
    return check_numbers("sets", tuple(SET_NAMES[name] for name in items), wide=False)


def check_groups(given: Any) -> Numbers:
    """The groups of rows numbered from 0, in the order of their values."""
    if isinstance(given, Numbers) or not len(given):
        return given or Numbers()
    items = _plain(given)
    try:
        places = {value: at for at, value in enumerate(sorted(set(items)))}
    except TypeError:
        _refuse("groups", items, "give numbers for all rows, or text for all")
    return check_numbers("groups", tuple(places[value] for value in items), wide=False)


def _width(name: str, rows: tuple[Any, ...]) -> int:
    for at, row in enumerate(rows):
        if not isinstance(row, tuple) or not row:
            _refuse(f"{name}[{at}]", row, "write a row of numbers, such as [1, 2]")
        if len(row) != len(rows[0]):
            remedy = f"give it {len(rows[0])} numbers as the first row has, not {len(row)}"
            _refuse(f"{name}[{at}]", row, remedy)
    return len(rows[0])


def _flat(name: str, flat: list[Any], width: int) -> list[Any]:
    """The numbers as whole ones if all are, else as floats."""

    def stop(wrong: Iterable[bool], remedy: str) -> None:
        at = next((at for at, is_wrong in enumerate(wrong) if is_wrong), None)
        if at is not None:
            place = f"[{at // width}][{at % width}]" if width else f"[{at}]"
            _refuse(name + place, flat[at], remedy)

    kinds = set(map(type, flat))
    if not kinds <= {bool, int, float}:
        wrong = (type(value) not in (bool, int, float) for value in flat)
        stop(wrong, "write a number, and number what is text" if width else "write one number")
    if float in kinds:
        stop((not -1e300 < value < 1e300 for value in flat), "give a finite number")
        return [float(value) for value in flat]
    noun = "tokens" if width else "classes"
    if min(flat) < 0 or max(flat) >= MOST_TOKENS:
        remedy = f"{noun} are counted from 0, below {MOST_TOKENS}, so renumber them"
        remedy += ", or write decimals such as 1.0 for plain numbers"
        stop((not 0 <= value < MOST_TOKENS for value in flat), remedy)
    return [int(value) for value in flat]


@dataclasses.dataclass(frozen=True)
class Table(Task):
    """Rows of your own, `targets[i]` being the answer for `inputs[i]`.

    Whole numbers are tokens and classes, counted from 0; one decimal point among them (`1.0`)
    makes all inputs features, or all targets numbers. Whole numbers that are one-hot are refused.
    Targets may be rows too: of tokens, each answered with the right ones before it in view, or of
    numbers.
    What a table is called in results is the SHA-256 checksum of its rows (FIPS 180-4); the rows
    themselves are not written there.

    >>> from grokjax import Table
    >>> xor = Table([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    >>> xor.n_rows, xor.encoding, xor.target_kind
    (4, 'tokens', 'classes')
    """

    kind: ClassVar[str] = "table"

    inputs: Numbers = data()
    """Rows of equally many numbers: a list of lists, an array or a data frame."""
    targets: Numbers = data()
    """The answer of each row, a class or a number, or equally many of them."""
    sha256: str = ""
    """Checksum of the rows. It is filled in; where you give one, the rows must have it."""
    tolerance: float = 0.1
    """Largest distance from its target at which a prediction counts as right, where targets are
    numbers; or largest mean square, where `row_error` says so."""
    table_name: str = "table"
    """Name of the table in results; nothing is computed from it."""
    row_error: RowError = "largest"
    """Which error of a row's numbers is compared with `tolerance`. largest: the largest distance;
    mean_square: the mean of the squared distances."""
    sets: Numbers = data()
    """The set of each row, "train", "test" or "third" (in neither), for `split=GivenSplit()`."""
    groups: Numbers = data()
    """What each row belongs to, numbers or text, for `split=GroupSplit("group")`."""
    vocabulary: tuple[str, ...] = data()
    """What tokens 0, 1, … stand for, where they stand for text."""
    class_names: tuple[str, ...] = data()
    """What classes stand for, where they are not tokens of the same number."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_numbers("inputs", self.inputs, wide=True))
        object.__setattr__(self, "targets", check_numbers("targets", self.targets, wide=None))
        object.__setattr__(self, "sets", check_sets(self.sets))
        object.__setattr__(self, "groups", check_groups(self.groups))
        for name in ("vocabulary", "class_names"):
            object.__setattr__(self, name, Names(map(str, getattr(self, name))))
        super().__post_init__()

    def check(self) -> None:
        n, m = len(self.inputs), len(self.targets)
        if n != m:
            raise ConfigError(f"targets: {m} of them for {n} rows of inputs, give one each.")
        for name, given in (("sets", self.sets), ("groups", self.groups)):
            if len(given) not in (0, n):
                raise ConfigError(f"{name}: {len(given)} of them for {n} rows, give one each.")
        self._check_names()
        checksum = self._checksum()
        remedy = f"these rows have {checksum}, look whether they are the right ones or leave it out"
        require(self.sha256 in ("", checksum), "sha256", self.sha256, remedy)
        object.__setattr__(self, "sha256", checksum)
        require(self.tolerance > 0, "tolerance", self.tolerance, "give a positive number")
        remedy = "classes have names of their own here and are no tokens, leave it out"
        own = bool(self.class_names)
        require(self.loss_on == "answer" or not own, "loss_on", self.loss_on, remedy)

    def _check_names(self) -> None:
        """Refuse fewer names than there are tokens or classes."""
        for name, numbers in (("vocabulary", self.inputs), ("class_names", self.targets)):
            given = getattr(self, name)
            if given:
                remedy = f"the largest number is {numbers.largest}, give a name for each from 0 on"
                enough = numbers.whole and numbers.largest < len(given)
                require(enough, name, f"{len(given)} names", remedy)

    def _checksum(self) -> str:
        """Of all that the rows say; what is not given is no part of it."""
        told = self.inputs.checksum + self.targets.checksum
        told += "".join(
            f" {n} {getattr(self, n).checksum}" for n in ("sets", "groups") if getattr(self, n)
        )
        for name in ("vocabulary", "class_names"):
            told += f" {name} {json.dumps(getattr(self, name))}" * bool(getattr(self, name))
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def encoding(self) -> Literal["tokens", "features"]:
        """Tokens if all inputs are whole numbers."""
        return "tokens" if self.inputs.whole else "features"

    @property
    def target_kind(self) -> Literal["classes", "sequence", "real"]:
        """Classes if all targets are whole numbers, a sequence of them where they are rows."""
        if not self.targets.whole:
            return "real"
        return "sequence" if self.targets.width or self.loss_on == "all" else "classes"

    @property
    def teacher_forced(self) -> bool:
        """Whether rows hold all of their answer's tokens but the last."""
        return self.target_kind == "sequence"

    @property
    def n_rows(self) -> int:
        """Number of rows given."""
        return len(self.inputs)

    @property
    def given_sets(self) -> tuple[int, ...]:
        return self.sets

    @classmethod
    def read(
        cls,
        path: str | Path | None = None,
        target: str = "target",
        inputs: Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        characters: bool = False,
        split: str | None = None,
        group: str | None = None,
        train: str | Path | None = None,
        test: str | Path | None = None,
        third: str | Path | None = None,
        **fields: Any,
    ) -> Table:
        """The table in a file, or in one file for each set of a given split.

        Files .csv, .parquet and .jsonl (an object a line) have columns. Columns of text are
        numbered, and `vocabulary` and `class_names` keep what their numbers mean. In .txt files
        every line is a row; the target may be of several tokens there. Short ones are filled up
        with padding, rows on the left and answers on the right, which is learnt like other tokens.

        Args:
          path: the file; None where `train` and `test` are given.
          target: name of the column, or of the field of the pattern, that holds the answers.
          inputs: names of the columns to learn from; None: all the others.
          pattern: of the lines of a .txt file, such as "{x} {op} {y} = {target}"; a field holds one
            word. Row and answer are the words of a line, those of the pattern included.
          characters: whether every character of a line is a token, instead of every word.
          split: name of the column that says train, test or third.
          group: name of the column whose equal values make a group of rows.
          train: the file of the training rows.
          test: the file of the test rows.
          third: the file of rows that nobody trains on and that are not in the test set.
          **fields: further fields of the table, `tolerance` say.
        """
        paths = {"train": train, "test": test, "third": third}
        given = files.given_files(path, paths, split)
        if next(iter(given.values())).suffix == ".txt":
            columns = {"inputs": inputs, "split": split, "group": group}
            read = files.read_lines(given, target, pattern, characters, columns)
        else:
            remedy = "they are for .txt files, leave them out"
            told = pattern if pattern is not None else characters
            require(not told, "pattern, characters", told, remedy)
            read = files.read_columns(given, target, inputs, split, group)
        name = next(iter(given.values())).stem if path is not None else "table"
        return cls(**{"table_name": name, **read, **fields})
