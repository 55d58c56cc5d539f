"""Damage to results folders, generated: every kind on every file, and every reader on the outcome.

A *damage* is a function of a folder that alters it. `of_folder` lists those of accidents (a file is
missing, cut short, flipped, junk, doubled, or no file at all) and those of a hand that knows the
format (`forged`): values of other types all over the manifest, other columns, names with paths, with
hashes that are right. `READERS` are the commands; `outcome` says how one of them ended.
"""

import contextlib
import dataclasses
import fnmatch
import hashlib
import io
import json
import os
import random
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crashes import Killed, crash_before_nth_write

import grokjax
from grokjax import experiment_file, export, measure, phase, sweep
from grokjax.engine import plan
from grokjax.engine.checkpoint import Checkpoints
from grokjax.results import array_files

SECONDS = 60
"""When a reader that waits for something is given up; what it does takes a second, or a few."""
SENTENCE = 300
"""Characters that a refusal may have, beside the paths in it."""
NESTED = 100_000


@dataclasses.dataclass(frozen=True)
class Damage:
    """Something that has happened to a folder."""

    name: str
    apply: Callable[[Path], None]


# What may become of any file.


def missing(path, rng):
    path.unlink()


def truncated(share):
    def apply(path, rng):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return apply


def last_byte_lost(path, rng):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path, rng):
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def flipped_near_the_end(path, rng):
    content = bytearray(path.read_bytes())
    at = len(content) - 1 - rng.randrange(min(len(content), 400))
    content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def junk(path, rng):
    path.write_bytes(rng.randbytes(1000))


def text(path, rng):
    path.write_text("no such thing\n" * 20)


def other_encoding(path, rng):
    path.write_bytes('{"schema_version": 4, "name": "größe"}'.encode("utf-16"))


def doubled(path, rng):
    path.write_bytes(path.read_bytes() * 2)


def zeros(path, rng):
    """As a file system may leave a file whose data it had not written yet."""
    path.write_bytes(bytes(path.stat().st_size))


def folder_instead(path, rng):
    path.unlink()
    path.mkdir()


def dangling_link(path, rng):
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path, rng):
    path.unlink()
    path.symlink_to(path.name)


def pipe(path, rng):
    path.unlink()
    os.mkfifo(path)


def endless_device(path, rng):
    path.unlink()
    path.symlink_to("/dev/zero")


def nested_json(path, rng):
    path.write_text("[" * NESTED)


ANY_FILE = {
    "missing": missing,
    "empty": truncated(0),
    "cut to 1 %": truncated(0.01),
    "cut to half": truncated(0.5),
    "cut to 99 %": truncated(0.99),
    "without its last byte": last_byte_lost,
    **{f"flipped {n}": flipped for n in range(8)},
    **{f"flipped near its end {n}": flipped_near_the_end for n in range(4)},
    "junk": junk,
    "text": text,
    "other encoding": other_encoding,
    "doubled": doubled,
    "zeros": zeros,
    "a folder": folder_instead,
    "a dangling link": dangling_link,
    "a link to itself": link_to_itself,
    "a pipe": pipe,
    "a device": endless_device,
    "nested": nested_json,
}


def _on_file(relative, name, how):
    def apply(folder):
        how(folder / relative, random.Random(f"{relative} {name}"))

    return Damage(f"{relative}: {name}", apply)


# What may become of JSON that somebody writes, or another version.

VALUES = {
    "null": None,
    "a number": 17,
    "a float": -0.5,
    "a word": "x",
    "a flag": True,
    "a list": [1, "x", None],
    "a dictionary": {"x": [1]},
    "huge": 10**400,
    "infinite": float("inf"),
    "nested": "NESTED",
    "a lone surrogate": "\ud800",
    "long": "x" * 100_000,
    "escapes": "\x1b[31mred\x1b]0;title\x07",
}
GONE = object()


def places(value, above=()):
    """The paths of everything in a value of JSON."""
    yield above
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        yield from places(one, (*above, key))


def with_value(tree, at, value):
    """A copy of a tree with another value at a path."""
    if not at:
        return value
    copy = json.loads(json.dumps(tree))
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return copy


def json_text(value):
    """As a file; `NESTED` is too deep for a writer."""
    deep = "[" * NESTED + "]" * NESTED
    return json.dumps(value, indent=2).replace('"NESTED"', deep)


CHECKPOINTS = ".work/checkpoints/*.safetensors"
HASHES = ("blake2b",)
"""Keys of a manifest and of a checkpoint's note: the hash of what stands beside it."""


def rewritten_json(path, tree):
    """Write JSON with the hash that belongs to it, where it has one."""
    for key in HASHES:
        if isinstance(tree, dict) and key in tree:
            rest = {k: v for k, v in tree.items() if k != key}
            text = json.dumps(rest, sort_keys=True).encode()
            tree = {**rest, key: hashlib.blake2b(text, digest_size=16).hexdigest()}
    path.write_text(json_text(tree))


def tree_of(path):
    """What a file of JSON says, or the note in the head of a checkpoint."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return json.loads(array_files.read(path, "")[1]["note"])


def rewrite(path, tree):
    """Let the file say that, with the hashes that belong to it."""
    if path.suffix == ".json":
        return rewritten_json(path, tree)
    arrays, words = array_files.read(path, "")
    return array_files.write(path, arrays, {**words, "note": json_text(tree)})


def _json_damages(folder, relative):
    tree = tree_of(folder / relative)
    for at in places(tree):
        if at and at[-1] in HASHES and len(at) == 1:
            continue
        where = ".".join(map(str, at)) or "all of it"
        for name, value in {**VALUES, **({"gone": GONE} if at else {})}.items():

            def apply(folder, at=at, value=value):
                rewrite(folder / relative, with_value(tree, at, value))

            yield Damage(f"{relative}: {where} is {name}", apply)


# What may become of tables that somebody writes.


def _with_column(name, values):
    def change(table):
        made = pa.array(values(len(table)))
        at = table.schema.get_field_index(name)
        return table.set_column(at, name, made) if at >= 0 else table.append_column(name, made)

    return change


def _cast(name, to):
    def change(table):
        at = table.schema.get_field_index(name)
        return table.set_column(at, name, table[name].cast(to))

    return change


def _tables(name, table):
    """Name → a change of a table with a name."""
    for column in table.column_names:
        yield f"no {column}", lambda t, c=column: t.drop_columns([c])
        for what, values in {
            "text": lambda n: ["x"] * n,
            "numbers": lambda n: [float(i) for i in range(n)],
            "nulls": lambda n: pa.nulls(n),
            "lists": lambda n: [[i] for i in range(n)],
            "structs": lambda n: [{"a": i} for i in range(n)],
            "bytes": lambda n: [b"\xff"] * n,
            "NaN": lambda n: [float("nan")] * n,
            "flags": lambda n: [True] * n,
            "dates": lambda n: pa.array([0] * n, pa.timestamp("ns")),
            "huge numbers": lambda n: [2**62] * n,
        }.items():
            yield f"{column} of {what}", _with_column(column, values)
    yield "no rows", lambda t: t.slice(0, 0)
    yield "no columns", lambda t: t.select([])
    yield "rows twice", lambda t: pa.concat_tables([t, t])
    yield "one run_id for all", _with_column("run_id", lambda n: ["0" * 12] * n)
    yield "an id missing", _with_column("run_id", lambda n: [None, *map(str, range(n - 1))])
    yield (
        "long ids",
        _with_column(
            "run_id",
            lambda n: [f"{i}" + "x" * 100_000 for i in range(min(n, 20))] + ["y"] * max(0, n - 20),
        ),
    )
    yield "escapes in ids", _with_column("run_id", lambda n: [f"{i}\x1b[31m" for i in range(n)])
    yield "paths in ids", _with_column("run_id", lambda n: [f"../../{i}" for i in range(n)])
    yield "another column", _with_column("\x1b[31mmine\n", lambda n: ["\x1b]0;x\x07"] * n)
    yield (
        "a column twice",
        lambda t: pa.table([*t.columns, t.column(1)], names=[*t.column_names, t.column_names[1]]),
    )
    for what, told in {
        "junk about pandas": b"{",
        "an index for pandas": json.dumps(
            {"index_columns": ["run_id"], "columns": [], "column_indexes": []}
        ).encode(),
        "a wrong index for pandas": json.dumps(
            {"index_columns": ["nowhere"], "columns": 7}
        ).encode(),
        "types for pandas": json.dumps(
            {
                "index_columns": [
                    {"kind": "range", "name": None, "start": 0, "stop": 10**12, "step": 1}
                ],
                "columns": [
                    {
                        "name": "run_id",
                        "field_name": "run_id",
                        "pandas_type": "object",
                        "numpy_type": "os.system",
                        "metadata": None,
                    }
                ],
                "column_indexes": [],
            }
        ).encode(),
    }.items():
        yield what, lambda t, told=told: t.replace_schema_metadata({b"pandas": told})


def recommit(folder, part):
    """Give the records of a folder the hash that a part has now."""
    content = part.read_bytes()
    about = {"rows": 1, "blake2b": hashlib.blake2b(content, digest_size=16).hexdigest()}

    for path in (folder / "sweep.json", *folder.glob(CHECKPOINTS)):
        found = tree_of(path)
        if part.name in found.get("parts", {}).get(part.parent.name, {}):
            found["parts"][part.parent.name][part.name] = about
            rewrite(path, found)


def _table_damages(folder, relative):
    table = pq.read_table(folder / relative)
    for name, change in _tables(Path(relative).parts[0], table):

        def apply(folder, change=change):
            pq.write_table(change(table), folder / relative, write_page_checksum=True)
            recommit(folder, folder / relative)

        yield Damage(f"{relative}: {name}", apply)


# What may become of the folder.


def _outside_record(folder):
    """A record that calls a file outside of the folder a part."""
    (folder.parent / "precious.parquet").write_bytes((folder.parent / "precious").read_bytes())
    path = folder / "sweep.json"
    found = json.loads(path.read_text())
    about = {"rows": 1, "blake2b": hashlib.blake2b(b"precious", digest_size=16).hexdigest()}
    found.setdefault("parts", {}).setdefault("runs", {})["../../precious.parquet"] = about
    rewritten_json(path, found)


def _outside_table(folder):
    path = folder / "sweep.json"
    found = json.loads(path.read_text())
    found.setdefault("parts", {})["../.."] = {"precious": {"rows": 1, "blake2b": "0" * 32}}
    rewritten_json(path, found)


def _part_twice(table):
    def apply(folder):
        first = sorted((folder / table).glob("*.parquet"))[0]
        shutil.copy(first, first.with_name("copy.parquet"))
        shutil.copy(first, first.with_name("00000900-00000900.parquet"))

    return apply


def _other_names(folder):
    for inside in [folder, *(p for p in sorted(folder.iterdir()) if p.is_dir())]:
        for name in (b"\xff\xfe.parquet", b"\x1b[31m.safetensors", b"a\nb"):
            Path(os.fsdecode(os.fsencode(inside) + b"/" + name)).write_bytes(b"?")


def _gone(name):
    def apply(folder):
        shutil.rmtree(folder / name)

    return apply


def _file_instead(name):
    def apply(folder):
        shutil.rmtree(folder / name)
        (folder / name).write_text("?")

    return apply


def _pipe_instead(name):
    def apply(folder):
        shutil.rmtree(folder / name)
        os.mkfifo(folder / name)

    return apply


def _link_out(name):
    def apply(folder):
        (folder.parent / f"outside-{name}").mkdir()
        shutil.copytree(folder / name, folder.parent / f"outside-{name}", dirs_exist_ok=True)
        shutil.rmtree(folder / name)
        (folder / name).symlink_to(folder.parent / f"outside-{name}")

    return apply


def _traps(folder):
    """Links where a reader puts what it writes."""
    for name in (".report.html.tmp", "report.html", ".summary.md.tmp", "plotly.min.js", "figures"):
        if not (folder / name).exists():
            (folder / name).symlink_to(folder.parent / "precious")


def _pipes(folder):
    for name in (".report.html.tmp", "report.html", ".summary.md.tmp", "plotly.min.js", "figures"):
        if not (folder / name).exists():
            os.mkfifo(folder / name)


def _folder_damages(folder):
    yield Damage("a record with a path out of the folder", _outside_record)
    yield Damage("a record of a table out of the folder", _outside_table)
    yield Damage("names in other encodings", _other_names)
    yield Damage("links where files are written", _traps)
    yield Damage("pipes where files are written", _pipes)
    for inside in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        yield Damage(f"{inside}: gone", _gone(inside))
        yield Damage(f"{inside}: a file", _file_instead(inside))
        yield Damage(f"{inside}: a pipe", _pipe_instead(inside))
        yield Damage(f"{inside}: a link out of the folder", _link_out(inside))
        if list((folder / inside).glob("*.parquet")):
            yield Damage(f"{inside}: a part twice", _part_twice(inside))


def of_folder(folder):
    """Every damage of a folder; names say what has happened to which file.

    Of the parts of a table, and of the snapshots, the first stands for all.
    """
    found = []
    for relative in _some_of_each_kind(folder):
        found += [_on_file(relative, name, how) for name, how in ANY_FILE.items()]
        if relative.endswith(".json") or fnmatch.fnmatchcase(relative, CHECKPOINTS):
            found += _json_damages(folder, relative)
        if relative.endswith(".parquet"):
            found += _table_damages(folder, relative)
    return [*found, *_folder_damages(folder)]


def _some_of_each_kind(folder):
    kinds = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "lock":
            relative = path.relative_to(folder)
            one_of_many = path.suffix in (".parquet", ".safetensors")
            kind = relative.parent if one_of_many else relative
            if fnmatch.fnmatchcase(str(relative), CHECKPOINTS):  # of which the last one counts
                kinds.pop(kind, None)
            kinds.setdefault(kind, str(relative))
    return list(kinds.values())


def named(folder, pattern):
    """The first damage whose name is as a pattern of a shell says."""
    return next(one for one in of_folder(folder) if fnmatch.fnmatchcase(one.name, pattern))


# The folders.

EXPERIMENTS = """
from grokjax import (
    MLP, AdamW, Experiment, ModularArithmetic, Norms, SnapshotSchedule, StartFrom, grid
)

donor = Experiment(
    task=ModularArithmetic("sub", p=5), model=MLP(mlp_width=8),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.5), steps=40, log_every=10,
    snapshots=SnapshotSchedule(moments=("end",)), sweep=grid(seed=[0, 1, 2, 3]),
)
experiment = Experiment(
    task=ModularArithmetic("sub", p=5), model=MLP(mlp_width=8),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.5), steps=100, log_every=10,
    start=StartFrom({first!r}, step="end", match=["seed"]), instruments=(Norms(),),
    snapshots=SnapshotSchedule(log_spaced=2, moments=("end",)),
    sweep=grid(weight_decay=[0.1, 1.0], seed=[0, 1, 2, 3]),
)
"""


def make(place):
    """Fill a folder with what the readers are given; the experiment.

    `first` are donors, `whole` a finished sweep with snapshots and instruments that starts from
    them, `part` the same sweep as a kill has left it, and `good` a copy of the finished one.
    """
    file = place / "experiment.py"
    file.write_text(EXPERIMENTS.format(first=str(place / "first")))
    experiment, source = experiment_file.read(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SEGMENT_SECONDS", 0.003)
        patch.setattr(plan, "TICK_SECONDS", 0.006)
        grokjax.run(donor(file), place / "first", lanes=2, progress=False)
        grokjax.run(experiment, place / "whole", lanes=2, progress=False, source=source)
        ticks = grokjax.load(place / "whole").manifest["ticks"]
        crash_before_nth_write(patch, ticks - 1, False, [(Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(experiment, place / "part", lanes=2, progress=False, source=source)
    shutil.copytree(place / "whole", place / "good")
    (place / "run_id").write_text(min(grokjax.load(place / "part").runs["run_id"]))
    (place / "precious").write_text("precious")
    return experiment


def donor(file):
    """The sweep of the donors in the file of the folders."""
    space = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    return space["donor"]


@contextlib.contextmanager
def at_work(place, kind, work):
    """A copy of one of the folders of `make`, named `sweep`, with what a reader needs beside it."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shutil.copytree(place / kind, work / "sweep")
    (work / "good").symlink_to(place / "good")
    for name in ("experiment.py", "run_id", "precious"):
        shutil.copy(place / name, work / name)
    yield work / "sweep"
    shutil.rmtree(work)


def fault_of(place, kind, damage, reader, work):
    """What is wrong with how a reader ends on a damaged copy of a folder; empty where nothing is."""
    with at_work(place, kind, work) as folder:
        damage.apply(folder)
        before = state(folder)
        beside = sorted(path.name for path in work.iterdir())
        ended = outcome(reader, work, folder)
        if fault := ended.fault():
            return fault
        if reader in LOOK and state(folder) != before:
            return "the folder was changed"
        if (work / "precious").read_text() != "precious":
            return "a file outside of the folder was changed"
        if gone := {*beside} - {path.name for path in work.iterdir()}:
            return f"{', '.join(sorted(gone))} outside of the folder was removed"
        return ""


# Who reads.


def _sweep(*more):
    def read(place, folder):
        return sweep.main([str(place / "experiment.py"), "--out", str(folder), "--quiet", *more])

    return read


def _phase(place, folder):
    return phase.main([str(folder), "--out", str(place / "out")])


def _joined(place, folder):
    return phase.main([str(place / "good"), str(folder), "--out", str(place / "out"), "--json"])


def _measure(place, folder):
    return measure.main([str(folder), "--instruments", "norms", "--quiet"])


def _export(place, folder):
    run_id = (place / "run_id").read_text()
    return export.main([str(folder), "--run", run_id, "--out", str(place / "net.safetensors")])


def _in_place(place, folder):
    return phase.main([str(folder)])


LOOK = {"phase": _phase, "joined": _joined, "export": _export, "dry run": _sweep("--dry-run")}
"""Readers that leave a folder as it is."""
WRITE = {
    "phase in place": _in_place,
    "measure": _measure,
    "sweep": _sweep(),
    "sweep --retry-failed": _sweep("--retry-failed"),
    "sweep --steps": _sweep("--steps", "120"),
    "sweep --overwrite": _sweep("--overwrite", "--lanes", "2"),
}
"""Readers that go on with it."""
READERS = LOOK | WRITE


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a reader ended."""

    status: int | None
    """Exit status; None where it raised."""
    said: str
    """Standard error."""
    printed: str
    raised: str = ""

    def fault(self):
        """What is wrong with it; empty where nothing is."""
        if self.raised:
            return self.raised
        if self.status not in (0, 1, 2):
            return f"status {self.status}"
        if self.status == 2:
            lines = self.said.strip().splitlines()
            if len(lines) != 1 or not lines[0].startswith("error: "):
                return f"no sentence: {self.said[-300:]!r}"
            if len(lines[0]) > SENTENCE:
                return f"{len(lines[0])} characters: {lines[0][:400]}"
        if "Traceback" in self.said:
            return self.said[-300:]
        return ""


def state(folder):
    """Names of everything below a folder, with the content of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        whole = path.is_file() and not path.is_symlink()
        found[str(path)] = (info.st_mode, path.read_bytes() if whole else None)
    return found


class Hang(BaseException):
    """A reader took too long."""


def outcome(reader, place, folder):
    """How one of `READERS` ends on a folder."""

    def late(number, frame):
        raise Hang

    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    status, raised = None, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = READERS[reader](place, folder)
    except Hang:
        raised = "it hangs: " + "".join(traceback.format_exc().splitlines(keepends=True)[-9:-1])
    except SystemExit as error:
        raised = f"it exits: {error}"
    except Exception:
        raised = "".join(traceback.format_exc().splitlines(keepends=True)[-7:])
    finally:
        signal.alarm(0)
    return Outcome(status, err.getvalue(), out.getvalue(), raised)
