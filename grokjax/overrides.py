"""What the words of `python -m grokjax.sweep FILE …` say beside FILE: options, and overrides."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from grokjax.config import Cluster, Config, ConfigError, Experiment, Slurm
from grokjax.config.coercion import require
from grokjax.config.fields import field_types, leaf_types, leaves, parts

HIDDEN = ("sweep", "refine")
"""Fields of an experiment that the command line does not override."""
LISTS = ("modifiers", "changes")
"""Fields that are lists of parts, which have no flags either."""
POWER = re.compile(r"\d+(\.\d*)?[eE]\+?\d{1,2}")
"""How numbers are written that are whole and look as if they were not."""
USAGE = "python -m grokjax.sweep FILE [options] [field overrides]"


@dataclasses.dataclass(frozen=True)
class Options(Cluster):
    """How to run; what to run is in FILE."""

    out: Path | None = None
    """Results folder; results/<file stem> when left out."""
    dry_run: bool = False
    """Print what would be done; train and write nothing, and compile nothing unless --time or
    --target asks for it."""
    time: bool = False
    """With --dry-run: compile the programs and time a few updates of each on this machine, instead
    of counting what they must cost."""
    overwrite: bool = False
    """Remove the results in the folder first."""
    retry_failed: bool = False
    """Train again the runs that an error ended, or whose rows were lost."""
    fail_fast: bool = False
    """Stop at the first error instead of recording it."""
    refine: bool = False
    """After the grid, train further runs where the boundary is least certain, as FILE's `refine`
    says or by its defaults."""
    target: str | None = None
    """With --dry-run: plan for a device that is not there, h100, h200, a100, v5e, v5p or v6e; its
    compiler says how many lanes its memory holds. Needs the extra `targets`."""
    lanes: int | None = None
    """Runs trained at once; the planner chooses when left out."""
    quiet: bool = False
    """Print nothing but errors."""
    json: bool = False
    """Print the progress as JSON lines."""

    @property
    def placed(self) -> Cluster | None:
        """Where workers are, if there are to be any.

        Raises:
          ConfigError: workers are described and not asked for.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(Cluster)}
        if self.cluster is not None:
            return Cluster(**values)
        for name, value in values.items():
            remedy = "it is about workers, say with --cluster where they are"
            require(value == getattr(Cluster(), name), name, value, remedy)
        return None


def parse(experiment: Experiment, arguments: list[str]) -> tuple[Options, Experiment]:
    """Options, and the experiment with the fields that the command line overrides."""
    given = experiment.values()
    # What has no flags is left out, so there is nothing to check before it is put back below.
    fields = {name: value if _has_flags(name, value) else None for name, value in given.items()}
    overridable = dataclasses.make_dataclass(
        "Overrides",
        [(name, _flags(name, value), fields[name]) for name, value in given.items()],
        namespace={"__post_init__": lambda self: None},
        bases=(Experiment,),
        frozen=True,
        kw_only=True,
    )
    command = dataclasses.make_dataclass(
        "Command",
        [
            ("options", Annotated[Options, tyro.conf.arg(name="")], Options()),
            ("experiment", Annotated[overridable, tyro.conf.arg(name="")], overridable(**fields)),
        ],
        frozen=True,
    )
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            parsed: Any = tyro.cli(
                command,
                args=_whole_numbers(experiment, arguments),
                prog=USAGE.removesuffix(" [options] [field overrides]"),
                description="Train the runs of an experiment file; its fields can be overridden.",
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if stop.code:
            said = _unknown_flag(experiment, arguments) or _one_sentence(messages.getvalue())
            raise ConfigError(said) from None
        raise
    flagged = [name for name, value in given.items() if _has_flags(name, value)]
    values = {name: getattr(parsed.experiment, name) for name in flagged}
    changed = {name: value for name, value in values.items() if value != given[name]}
    if not changed:
        return parsed.options, experiment
    overridden = dataclasses.replace(experiment, **changed)
    _refuse_axes(experiment, overridden)
    return parsed.options, overridden


def _flags(name: str, value: Any) -> Any:
    """The annotation that says which flags a field has; a part has those of its kind."""
    if not _has_flags(name, value):
        return Annotated[None, tyro.conf.Suppress]
    if isinstance(value, Config):
        return type(value)
    annotation = field_types(Experiment)[name]
    options = [part for part in typing.get_args(annotation) if typing.get_origin(part) is Literal]
    # Of a field that may hold a part, the words that it may hold instead.
    return options[0] if options and _may_be_part(annotation) else annotation


def _has_flags(name: str, value: Any) -> bool:
    """Not so lists, parts that FILE does not give or that hold others, and a table's own rows."""
    if isinstance(value, Config):
        rows = any(f.metadata.get("data") for f in dataclasses.fields(value))
        return name not in HIDDEN and not rows and not parts(value)
    is_word = isinstance(value, str)
    return name not in (*HIDDEN, *LISTS) and (
        is_word or not _may_be_part(field_types(Experiment)[name])
    )


def _may_be_part(annotation: Any) -> bool:
    options = typing.get_args(annotation)
    return any(isinstance(option, type) and issubclass(option, Config) for option in options)


def _refuse_axes(before: Experiment, after: Experiment) -> None:
    """An override of a swept field would be lost without a word."""
    old, new = leaves(before), leaves(after)
    for path in before.axes():
        if path in old and old[path] != new.get(path):
            raise ConfigError(
                f"{path}={new[path]!r}: the field is an axis of the sweep, edit FILE."
            )


def _flagged(experiment: Experiment) -> dict[str, Any]:
    """Dotted path → annotation of every field that has a flag."""
    given, no_field = experiment.values(), parts(experiment)
    types = {p: kind for p, kind in leaf_types(experiment).items() if p not in no_field}
    heads = {name for name, value in given.items() if _has_flags(name, value)}
    return {path: kind for path, kind in types.items() if path.split(".")[0] in heads}


def _unknown_flag(experiment: Experiment, arguments: list[str]) -> str | None:
    """What is wrong about the first word that looks like a flag and is none."""
    from grokjax.config import wrong_words

    fields = list(_flagged(experiment))
    options = [field.name for field in dataclasses.fields(Options) if field.name != "slurm"]
    options += [f"slurm.{field.name}" for field in dataclasses.fields(Slurm)]
    known = {wrong_words.as_flag(path) for path in (*fields, *options)} | {"--help"}
    for word in arguments:
        flag = word.split("=")[0]
        name = flag.replace("_", "-")
        # A field that is True has a flag to turn it off, `--model.no-causal`.
        if name.startswith("--") and not {name, name.replace("no-", "", 1)} & known:
            return wrong_words.flag(experiment, flag, fields, options)
    return None


def _whole_numbers(experiment: Experiment, arguments: list[str]) -> list[str]:
    """The words with `--steps 1e5` as `--steps 100000`: what a file may say, a flag may."""
    whole = {p for p, kind in _flagged(experiment).items() if kind in (int, int | None)}
    words: list[str] = []
    for word in arguments:
        flag, _, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
        name = (flag or (words or [""])[-1]).removeprefix("--").replace("-", "_")
        if name in whole and POWER.fullmatch(value) and float(value).is_integer():
            word = f"{flag}={float(value):.0f}" if flag else f"{float(value):.0f}"
        words.append(word)
    return words


def _one_sentence(message: str) -> str:
    """The first paragraph of tyro's message, without its frame."""
    message = re.sub(r"Error parsing experiment[.\w]*: ", "", message)
    lines = [line.strip("╭╮╰╯│─ ") for line in message.splitlines()]
    paragraph: list[str] = []
    for line in lines[1:]:
        if not line:
            break
        paragraph.append(line)
    sentence = re.sub(r"\s+", " ", " ".join(paragraph)).rstrip(".")
    return f"{sentence}; see --help."
