"""A table of the user's own rows."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import reprlib
import warnings
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

from grokjax.config.coercion import ConfigError, require
from grokjax.config.fields import data
from grokjax.config.parts import Task
from grokjax.config.synonyms import suggestion

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


def check_numbers(name: str, given: Any, *, wide: bool) -> Numbers:
    """The given numbers as whole ones or floats, with their checksum.

    Args:
      name: the field that they are given for, to be named in messages.
      given: a list, array or data frame of them, or `Numbers`.
      wide: whether these are rows of equally many numbers, or one number each.
    """
    if isinstance(given, Numbers) and wide == (given.width > 0):
        return given
    items = _plain(given)
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
    """The answer of each row, a class or a number."""
    sha256: str = ""
    """Checksum of the rows. It is filled in; where you give one, the rows must have it."""
    tolerance: float = 0.1
    """Largest distance from its target at which a prediction counts as right, where targets are
    numbers."""
    table_name: str = "table"
    """Name of the table in results; nothing is computed from it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_numbers("inputs", self.inputs, wide=True))
        object.__setattr__(self, "targets", check_numbers("targets", self.targets, wide=False))
        super().__post_init__()

    def check(self) -> None:
        n, m = len(self.inputs), len(self.targets)
        if n != m:
            raise ConfigError(f"targets: {m} of them for {n} rows of inputs, give one each.")
        both = self.inputs.checksum + self.targets.checksum
        checksum = hashlib.sha256(both.encode()).hexdigest()
        remedy = f"these rows have {checksum}, look whether they are the right ones or leave it out"
        require(self.sha256 in ("", checksum), "sha256", self.sha256, remedy)
        object.__setattr__(self, "sha256", checksum)
        require(self.tolerance > 0, "tolerance", self.tolerance, "give a positive number")

    @property
    def encoding(self) -> Literal["tokens", "features"]:
        """Tokens if all inputs are whole numbers."""
        return "tokens" if self.inputs.whole else "features"

    @property
    def target_kind(self) -> Literal["classes", "sequence", "real"]:
        """Classes if all targets are whole numbers."""
        return "classes" if self.targets.whole else "real"

    @property
    def n_rows(self) -> int:
        """Number of rows given."""
        return len(self.inputs)

    @classmethod
    def read(cls, path: str | Path, target: str, inputs: Sequence[str] | None = None) -> Table:
        """The table in a .csv or .parquet file with a header.

        Args:
          path: the file.
          target: name of the column that holds the answers.
          inputs: names of the columns to learn from; None: all the others.
        """
        frame = _frame(Path(path))
        require(len(frame) > 1, "path", str(path), "give 2 rows or more below the header")
        chosen = [c for c in frame.columns if c != target] if inputs is None else list(inputs)
        require(target not in chosen, "target", target, "it is also an input, drop it there")
        require(bool(chosen), "inputs", inputs, "name a column to learn from")
        for column in [target, *chosen]:
            _check_column(frame, column)
        return cls(frame[chosen], frame[target], table_name=Path(path).stem)


def _frame(path: Path) -> Any:
    import pandas as pd

    remedy = "give a .csv or a .parquet file"
    require(path.suffix in (".csv", ".parquet"), "path", str(path), remedy)
    require(path.is_file(), "path", str(path), "there is no such file")
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
        remedy = f"it cannot be read as {path.suffix} ({reason}), write it anew"
        raise ConfigError(f"path={str(path)!r}: {remedy}.") from None


def _check_column(frame: Any, name: str) -> None:
    import pandas as pd

    if name not in frame.columns:
        there = suggestion(name, map(str, frame.columns))
        raise ConfigError(f"column={name!r}: there is no such column, {there}")
    gaps = frame[name].isna().to_numpy().nonzero()[0].tolist()
    remedy = f"rows {gaps[:3]} below the header have no value, fill it in or drop them"
    require(not gaps, "column", name, remedy)
    remedy = "it holds text and not numbers, number its values from 0"
    require(pd.api.types.is_numeric_dtype(frame[name]), "column", name, remedy)
