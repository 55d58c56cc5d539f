"""Rows of a table from files: columns of numbers and text, or lines of text.

Words are numbered, and what the numbers mean goes into the table, so that its checksum says it.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokjax.config.coercion import ConfigError, require
from grokjax.config.splits import SET_NAMES
from grokjax.config.synonyms import suggestion

READERS = (".csv", ".parquet", ".jsonl", ".txt")
PADDING = "<pad>"
"""The token that fills up rows and answers that are shorter than the longest."""
OTHER_WORDS = {"training": "train", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "dev"), "third"
)
"""What files call the sets of a split, beside train, test and third."""


def given_files(
    path: str | Path | None, sets: Mapping[str, str | Path | None], split: str | None
) -> dict[str, Path]:
    """Name of a set → its file; the one file's name is empty.

    Args:
      path: of the one file.
      sets: name of a set → its file.
      split: the column that says the set of a row.
    """
    for name, file in {"path": path, **sets}.items():
        readable = file is None or (isinstance(file, (str, Path)) and "\0" not in str(file))
        require(readable, name, file, "give the name of a file")
    given = {name: Path(file) for name, file in sets.items() if file is not None}
    remedy = "give path, or train= and test="
    require((path is None) == bool(given), "path", path and str(path), remedy)
    if path is not None:
        given = {"": Path(path)}
    else:
        require("train" in given, "train", None, "give the file of the training rows too")
        require(split is None, "split", split, "every set has its own file, leave it out")
    for name, file in given.items():
        remedy = f"give a {', '.join(READERS[:-1])} or {READERS[-1]} file"
        require(file.suffix in READERS, name or "path", str(file), remedy)
        remedy = f"the other files are {next(iter(given.values())).suffix}, give one of these"
        alike = (file.suffix == ".txt") == (next(iter(given.values())).suffix == ".txt")
        require(alike, name or "path", str(file), remedy)
        try:
            there = file.is_file()
        except OSError:  # a name that is too long, say
            there = False
        require(there, name or "path", str(file), "there is no such file")
    return given


def read_columns(
    files: Mapping[str, Path],
    target: str,
    inputs: Sequence[str] | None,
    split: str | None,
    group: str | None,
) -> dict[str, Any]:
    """The fields of a table from files with columns; the arguments are those of `Table.read`."""
    import pandas as pd

    frames = {name: _frame(file) for name, file in files.items()}
    columns = list(next(iter(frames.values())).columns)
    for name, frame in frames.items():
        remedy = f"its columns are {list(frame.columns)}, give all files those of the first"
        require(list(frame.columns) == columns, name or "path", str(files[name]), remedy)
    frame = pd.concat(frames.values(), ignore_index=True)
    some = str(next(iter(files.values())))
    require(len(frame) > 1, "path", some, "give 2 rows or more below the header")
    others = [name for name in (split, group) if name is not None]
    chosen = [c for c in columns if c not in (target, *others)]
    chosen = chosen if inputs is None else list(inputs)
    require(target not in chosen, "target", target, "it is also an input, drop it there")
    require(bool(chosen), "inputs", inputs, "name a column to learn from")
    for column in [target, *others, *chosen]:
        _check_column(frame, column)
    texts = [c for c in chosen if not pd.api.types.is_numeric_dtype(frame[c])]
    read: dict[str, Any] = {"inputs": frame[chosen], "targets": frame[target]}
    if texts:
        read["inputs"], read["vocabulary"] = _numbered(frame, chosen, texts)
    if not pd.api.types.is_numeric_dtype(frame[target]):
        names = sorted(set(frame[target].map(str)))
        places = {name: at for at, name in enumerate(names)}
        read["targets"], read["class_names"] = frame[target].map(str).map(places), tuple(names)
    if split is not None:
        read["sets"] = [_set_name(value, at, split) for at, value in enumerate(frame[split])]
    elif "" not in files:
        read["sets"] = [name for name, one in frames.items() for _ in range(len(one))]
    if group is not None:
        read["groups"] = frame[group].tolist()
    return read


def _numbered(frame: Any, columns: list[str], texts: list[str]) -> tuple[Any, tuple[str, ...]]:
    """Columns with their text numbered after the largest whole number, and what tokens mean."""
    import pandas as pd

    numbers = [c for c in columns if c not in texts]
    for name in numbers:
        remedy = f"it holds decimals and {texts[0]} holds text, give columns of one kind"
        whole = pd.api.types.is_integer_dtype(frame[name])
        require(whole, "column", name, remedy)
    first = 1 + max((int(frame[name].max()) for name in numbers), default=-1)
    words = sorted({str(value) for name in texts for value in frame[name]})
    places = {word: first + at for at, word in enumerate(words)}
    tokens = frame[columns].copy()
    for name in texts:
        tokens[name] = frame[name].map(str).map(places)
    return tokens, (*map(str, range(first)), *words)


def _set_name(value: Any, at: int, column: str) -> str:
    word = str(value).strip().lower()
    name = OTHER_WORDS.get(word, word)
    remedy = "write train, test, or third for rows in neither"
    require(name in SET_NAMES, f"{column}[{at}]", value, remedy)
    return name


def _frame(path: Path) -> Any:
    import pandas as pd

    readers: dict[str, Any] = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        # Objects are read one by one: "07" stays text, and no column is a date for its name.
        ".jsonl": lambda file: pd.DataFrame(
            [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
        ),
    }
    try:
        return readers[path.suffix](path)
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
        remedy = f"it cannot be read as {path.suffix} ({reason}), write it anew"
        raise ConfigError(f"path={str(path)!r}: {remedy}.") from None


def _check_column(frame: Any, name: str) -> None:
    if name not in frame.columns:
        there = suggestion(name, map(str, frame.columns))
        raise ConfigError(f"column={name!r}: there is no such column, {there}")
    gaps = frame[name].isna().to_numpy().nonzero()[0].tolist()
    remedy = f"rows {gaps[:3]} below the header have no value, fill it in or drop them"
    require(not gaps, "column", name, remedy)
    remedy = "it holds lists, give a column for each of their places"
    require(not isinstance(frame[name].iloc[0], (list, dict)), "column", name, remedy)


def read_lines(
    files: Mapping[str, Path],
    target: str,
    pattern: str | None,
    characters: bool,
    columns: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of a table from lines of text.

    Rows are filled up on the left, so that the answer begins at the same place, and answers on the
    right; that an answer ends is learnt like its other tokens.

    Args:
      files: name of a set → its file.
      target: the field of the pattern that is the answer.
      pattern: of a line.
      characters: whether every character is a token, or every word.
      columns: arguments of `Table.read` that are for files with columns.
    """
    remedy = 'say how a line reads, as in pattern="{x} {op} {y} = {target}"'
    require(pattern is not None, "pattern", pattern, remedy)
    assert pattern is not None  # required
    for name, value in columns.items():
        require(value is None, name, value, "lines of text have no columns, leave it out")
    matcher = _matcher(pattern, target)
    rows, answers, sets = [], [], []
    for name, file in files.items():
        for at, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            found = matcher.fullmatch(line.strip())
            if found is None:
                told = f"{file.name}, line {at}: {reprlib.repr(line)} does not read like"
                raise ConfigError(f"{told} {pattern!r}, correct the line or the pattern.")
            start, end = found.span(target)
            text = found.string
            # What follows an answer in the middle of a line is seen before it.
            row = text[:start] + text[end:]
            split = list if characters else str.split
            rows.append(split(row.strip()))
            answers.append(split(text[start:end]))
            sets.append(name)
    some = str(next(iter(files.values())))
    require(len(rows) > 1, "path", some, "give 2 lines or more")
    vocabulary = _vocabulary(rows, answers)
    read: dict[str, Any] = {
        "inputs": _padded(rows, vocabulary, left=True),
        "targets": _padded(answers, vocabulary, left=False),
        "vocabulary": tuple(vocabulary),
    }
    if len(read["targets"][0]) == 1:
        read["targets"] = [answer[0] for answer in read["targets"]]
    if "" not in files:
        read["sets"] = sets
    return read


def _matcher(pattern: str, target: str) -> re.Pattern[str]:
    """The pattern as a regular expression: a field is a word, a space is one or more."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    names = pieces[1::2]
    for name in names:
        remedy = "fields are named by letters, digits and _, as in {x} {op} {y} = {target}"
        require(name.isidentifier(), "pattern", pattern, remedy)
    remedy = f"name each field once, and one of them {target}, which is the answer"
    good = target in names and len(names) == len(set(names)) and len(names) > 1
    require(good, "pattern", pattern, remedy)
    spelled = [r"\s+".join(map(re.escape, re.split(r"\s+", text))) for text in pieces[::2]]
    fields = [rf"(?P<{name}>\S+?)" for name in names] + [""]
    return re.compile("".join(map("".join, zip(spelled, fields, strict=True))))


def _vocabulary(rows: list[list[str]], answers: list[list[str]]) -> dict[str, int]:
    """Token → number: whole numbers are their own if most are there, and text follows, sorted."""
    words = {word for line in (*rows, *answers) for word in line}
    numbers = {int(word) for word in words if word.isdecimal() and str(int(word)) == word}
    # A file of a few large numbers would otherwise have a token for every number below them.
    dense = 2 * len(numbers) > max(numbers, default=0)
    names = [str(number) for number in range(max(numbers) + 1)] if dense else []
    names += sorted(words - set(names), key=_in_order)
    names += [PADDING] * any(len(set(map(len, lines))) > 1 for lines in (rows, answers))
    return {name: at for at, name in enumerate(dict.fromkeys(names))}


def _in_order(word: str) -> tuple[bool, int, str]:
    """Numbers by their value, before all other words."""
    return not word.isdecimal(), int(word) if word.isdecimal() else 0, word


def _padded(lines: list[list[str]], places: Mapping[str, int], *, left: bool) -> list[list[int]]:
    """Lines as rows of equally many tokens."""
    longest = max(map(len, lines))
    rows = []
    for line in lines:
        filling = [PADDING] * (longest - len(line))
        rows.append([places[w] for w in (filling + line if left else line + filling)])
    return rows
