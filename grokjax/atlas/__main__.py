"""`python -m grokjax.atlas`: claims on grokking, what was decided, and what is stale.

Exit status: 0 done, 2 bad usage or configuration or a run that failed, 74 the storage failed,
130 stopped by Ctrl-C after a commit; the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from grokjax import command

if TYPE_CHECKING:
    from grokjax.atlas.claim import Claim

ABOUT = {
    "list": "the claims, their verdicts and effects, and what is stale (the default)",
    "show": "a claim in full: source, setting, definitions, and what came out",
    "run": "train what is missing of claims, decide them, write verdict, table and figure",
    "decide": "decide claims again from the results that there are",
    "page": "write docs/atlas.md",
}
"""What to do → what it does."""


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    _check(given)
    from grokjax.atlas import files

    files.check_known(given.names)
    if given.what == "list":
        _list(given.names or files.names())
    elif given.what == "show":
        for name in given.names:
            _show(name)
    elif given.what == "page":
        from grokjax.atlas import page

        print(f"wrote {files.PAGE}: {page.write({n: files.read(n) for n in files.names()})}")
    elif given.what == "run":
        return _run(given)
    else:
        _decide(given)
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuse words that do not go together."""
    from grokjax.config import ConfigError

    if given.what in ("show", "run", "decide") and not given.names:
        raise ConfigError(f"NAME: {given.what} is of claims, name one or more, see `list`.")
    if given.what == "page" and given.names:
        raise ConfigError(f"NAME={given.names[0]!r}: the page is of all claims, drop it.")
    belongs = {"check": ("run",), "surprise": ("decide",), "dry_run": ("run",)}
    for option, places in belongs.items():
        if getattr(given, option) and given.what not in places:
            value = getattr(given, option)
            raise ConfigError(f"{option}={value!r}: it goes with `{places[0]}`, drop it.")
    if given.surprise and len(given.names) > 1:
        raise ConfigError(f"surprise={given.surprise!r}: it is of one claim, name that one.")


def _list(names: list[str]) -> None:
    from grokjax.atlas import record

    rows = [("claim", "verdict", "effect [95 %]", "unit", "stale")]
    for name in names:
        told = record.read(name)
        shown = (record.verdict_text(told), record.effect_text(told)) if told else ("", "")
        unit = told["unit"] if told else ""
        rows.append((name, *shown, unit, record.stale(name, told)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    missing = sum(row[-1] == record.NOT_RUN for row in rows[1:])
    stale = sum(bool(row[-1]) for row in rows[1:]) - missing
    print(f"{len(rows) - 1} claims, {missing} not run, {stale} stale; `run NAME` trains one again")


def _show(name: str) -> None:
    from grokjax.atlas import files, record

    claim, told = files.read(name), record.read(name)
    for key, text in claim.told().items():
        print(f"{key}: {text}")
    runs = {key: len(experiment.runs()) for key, experiment in claim.experiments.items()}
    print("runs: " + ", ".join(f"{key} {n}" for key, n in runs.items()))
    if told:
        print(f"verdict: {record.verdict_text(told)}, {record.effect_text(told)}")
        print(told["because"])
    if why := record.stale(name, told):
        print(f"stale: {why}")


def _run(given: argparse.Namespace) -> int:
    from grokjax.atlas import files, variant

    claims = {name: files.read(name) for name in given.names}
    for name, claim in claims.items():
        for key, experiment in claim.experiments.items():
            runs = len(experiment.runs())  # a bad cell is refused before JAX is imported
            if given.dry_run:
                steps = runs * experiment.steps
                folder = variant.folder_of(name, given.check) / key
                print(
                    f"{name}, {key}: {runs} runs of at most {experiment.steps} updates, {steps}; "
                    f"{folder}"
                )
    if given.dry_run:
        return 0
    return _train(given, claims)


def _train(given: argparse.Namespace, claims: Mapping[str, Claim]) -> int:
    from grokjax import display
    from grokjax.atlas import record, running

    with command.stop_after_a_commit() as (stop, caught):
        for name, claim in claims.items():
            with display.choose(given.quiet, False) as show:
                told = running.run(name, claim, given.check or "", report=show, stop=stop)
            if told is None:
                command.say("stopped after a commit; the same command goes on")
                return 128 + caught[0]
            print(f"{name}: {record.verdict_text(told)}, {record.effect_text(told)}", flush=True)
    return 0


def _decide(given: argparse.Namespace) -> None:
    from grokjax.atlas import files, record, running

    for name in given.names:
        told = running.decide(name, files.read(name))
        if given.surprise:
            record.write(name, {**told, "surprise": given.surprise})
        print(f"{name}: {record.verdict_text(told)}, {record.effect_text(told)}")
        print(told["because"])


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m grokjax.atlas",
        description="Published claims on grokking (experiments/atlas) and what was decided here "
        "(results/atlas), of the checkout that is the current folder.",
        epilog="; ".join(f"{name}: {about}" for name, about in ABOUT.items()),
    )
    add = parser.add_argument
    add(
        "what", nargs="?", default="list", choices=ABOUT, metavar="WHAT",
        help=f"{', '.join(ABOUT)}; list where it is left out",
    )  # fmt: skip
    add("names", nargs="*", metavar="NAME", help="claims, by the names of their files")
    add(
        "--check", choices=["seeds", "float64"],
        help="of `run`: the same with other seeds, or in float64, beside the verdict",
    )  # fmt: skip
    add("--dry-run", action="store_true", help="of `run`: say what would be trained")
    add(
        "--surprise",
        metavar="TEXT",
        help="of `decide`: what nobody expected, kept with the verdict",
    )
    add("--quiet", action="store_true", help="of `run`: print verdicts alone")
    return parser


if __name__ == "__main__":
    command.run(main)
