"""What a person sees of a running sweep: a live bar, a line a minute, JSON lines, or HTML."""

from __future__ import annotations

import html
import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from grokjax.command import controls
from grokjax.text import printable

if TYPE_CHECKING:
    from grokjax.engine.progress import Progress


class Display(Protocol):
    """Shows the counters it is called with, between entering and leaving."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def __call__(self, progress: Progress) -> None:
        """Show the counters as they are now."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, progress: Progress) -> None:
        """Show nothing."""


class Lines(Silent):
    """A plain line a minute, and when something else is going on: for logs and pipes."""

    def __init__(self, every_seconds: float = 60.0) -> None:
        self._every, self._last, self._activity = every_seconds, -1e9, ""

    def __call__(self, progress: Progress) -> None:
        """Print a line if the last one is old enough."""
        now = time.monotonic()
        changed = progress.activity != self._activity and progress.activity != "training"
        if changed or now - self._last >= self._every or progress.finished == progress.runs:
            self._last, self._activity = now, progress.activity
            print(describe(progress), flush=True)


class JsonLines(Silent):
    """One JSON object a tick on standard output."""

    def __call__(self, progress: Progress) -> None:
        """Print the counters as JSON."""
        print(json.dumps(counters(progress)), flush=True)


class Bar(Silent):
    """A live progress bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        text = TextColumn("{task.fields[text]}", markup=False)
        console = Console(file=controls(sys.stdout))
        self._bar = Progress(text, BarColumn(bar_width=24), console=console)
        self._task = self._bar.add_task("sweep", total=1, text="starting")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Redraw."""
        self._bar.update(
            self._task,
            total=max(progress.total_run_steps, 1),
            completed=progress.run_steps,
            text=printable(describe(progress)),
        )


class Html(Silent):
    """A bar in the output of a notebook's cell, which is updated in its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, progress: Progress) -> None:
        """Redraw."""
        from IPython.display import HTML, display

        most = max(progress.total_run_steps, 1)
        bar = f'<progress value="{progress.run_steps}" max="{most}" style="width:16em"></progress>'
        shown = HTML(f"<div>{bar} {html.escape(describe(progress))}</div>")
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def here() -> Display:
    """The display for where this process shows things: a notebook, a terminal, or a log."""
    if _in_notebook():
        return Html()
    return Bar() if sys.stdout.isatty() else Lines()


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this; nothing is imported to find out."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return running is not None and hasattr(running, "kernel")


def choose(quiet: bool, as_json: bool) -> Display:
    """The display that the flags and the terminal ask for."""
    if quiet:
        return Silent()
    if as_json:
        return JsonLines()
    return here()


def counters(progress: Progress) -> dict[str, Any]:
    """The counters as plain values."""
    return {
        "activity": progress.activity,
        "runs": progress.runs,
        "memorised": progress.memorised,
        "grokked": progress.grokked,
        "finished": progress.finished,
        "failed": progress.failed,
        "run_steps": progress.run_steps,
        "total_run_steps": progress.total_run_steps,
        "run_steps_per_second": progress.rate,
        "eta_seconds": progress.eta_seconds,
        "elapsed_seconds": progress.elapsed,
    }


def describe(progress: Progress) -> str:
    """The counters in a line; before they are known, what is going on."""
    if not progress.runs:
        return progress.activity
    parts = [
        f"{progress.memorised}/{progress.runs} memorised",
        *([f"{progress.grokked} grokked"] if progress.tested else []),
        f"{progress.finished} finished",
        f"{si(progress.run_steps)} of {si(progress.total_run_steps)} run-steps",
    ]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.rate and progress.eta_seconds is not None:
        parts += [f"{si(progress.rate)}/s", f"ETA {duration(progress.eta_seconds)}"]
    if progress.finished == progress.runs and progress.activity == "starting":
        return f"nothing to train: all {progress.runs} runs had ended; refreshing the figures"
    if progress.activity != "training":
        parts.append(progress.activity)
    return " · ".join(parts)


def si(number: float) -> str:
    """1234567 → 1.23M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """4000 → 1 h 07 min."""
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{seconds} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {seconds:02d} s"
