"""What `sweep.json` and the plan of an unfinished sweep hold, by which they are checked."""

from __future__ import annotations

from typing import Any, TypedDict

from grokjax.results.parts import Record


Plain = str | int | float | bool | None
"""What a cell of a table may hold."""


class Described(TypedDict):
    """What a manifest says of what is run."""

    schema_version: int
    """Which columns, files and ids the folder has; see `results.schema`."""
    name: str
    base: dict[str, Any]
    """Dotted path → value of the configuration that all runs share but for the axes."""
    axes: dict[str, list[Any]]
    """Dotted path → the values that it takes."""
    thresholds: dict[str, Any]
    """What the onset columns were computed with."""
    sources: dict[str, str]
    """Kind → source of every word that the user has written."""
    vocabularies: dict[str, dict[str, list[str]]]
    """Checksum of a user's table → what its tokens and its classes stand for, where it is text."""


class Checkout(TypedDict):
    """The state of a checkout of git."""

    sha: str
    dirty: bool


class Cut(TypedDict, total=False):
    """How a program is cut; whoever goes on with it needs all but what older versions did not say."""

    lanes: int
    devices: int
    log_points: int
    segments: int
    run_step_seconds: float
    asked_lanes: int | None
    tiles: int
    row_multiple: int


class LastRound(TypedDict, total=False):
    """What is told of a round that has none after it."""

    reason: str | None


class RoundTold(LastRound):
    """What is told of a round; see `engine.rounds.Round`."""

    cells: list[dict[str, Any]]
    runs: int
    band: float | None


class Origin(TypedDict):
    """Of curves that another program has left: where from, and what they were taken for."""

    sources: list[str]
    """Files, folders or trackers, as they were given."""
    files: dict[str, str]
    """File → hash of its bytes."""
    recognised: dict[str, str]
    """Our name → the column that was taken for it."""
    steps: str
    """What steps count, and how that is known."""
    accuracies: str
    """Whether accuracies stood there as shares or in percent."""
    not_known: list[str]
    """A sentence for each thing that the curves do not say."""


class Provenance(TypedDict, total=False):
    """With what, and on what, a start of a sweep ran."""

    command: str
    created: str
    git: Checkout | None
    versions: dict[str, str]
    device: dict[str, Any]
    matmul_precision: str
    trained_again: dict[str, Any]
    """Runs that had lost rows, and the parts that were lost."""
    work: dict[str, float]
    """Updates that this start did, and its seconds."""


class Manifest(Described, Provenance, total=False):
    """`sweep.json`: what is run, the provenance of the first start, and how far the sweep is."""

    starts: list[Provenance]
    """Provenance of every start, in their order."""
    programs: dict[str, Cut]
    """Name of a compiled program → how it is cut into lanes, tiles and segments."""
    ticks: int
    """Commits so far, when the sweep last finished."""
    rounds: list[RoundTold]
    """What a refined sweep has chosen so far."""
    parts: Record
    """The files of a finished sweep, with their rows and hashes."""
    warnings: list[str]
    """What was found about the tables: rows that are there twice, or on both sides of a split."""
    measured: dict[str, dict[str, Any]]
    """Kind of an instrument that has measured snapshots → its fields."""
    curves_of: Origin
    growing: list[dict[str, int | None]]
    """Budgets that rows may still have, while that of `base` is being given to them."""


class Lane(TypedDict):
    """A lane in the note of a checkpoint."""

    run_id: str
    step: int
    wall_s: float
    calm_since: int | None


class Note(TypedDict):
    """What the note of a checkpoint says of the lanes and the parts."""

    program: str | None
    lanes: list[Lane | None]
    forget: list[str]


class Planned(TypedDict):
    """A run that an unfinished sweep is to train, with its values on the axes beside."""

    run_id: str
    program: str
