"""Reading what somebody else has made runs no code of theirs, and a terminal obeys none of it."""

import gzip
import io
import json
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sweep_folder import synthetic_results

import grokjax
from grokjax import ConfigError, command, measure, phase, weights
from grokjax.formats import files
from grokjax.results import manifest, outside, snapshots

RAN = "ran.txt"
CODE = f"__import__('pathlib').Path({RAN!r}).write_text('ran')"


class Poison:
    """Its pickle runs `CODE` where it is read."""

    def __reduce__(self):
        return exec, (CODE,)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / RAN).exists()


def test_a_poison_is_one(tmp_path):
    pickle.loads(pickle.dumps(Poison()))
    (tmp_path / RAN).unlink()


def poisoned_npz(path):
    np.savez(path, test_accuracy=np.array([Poison()], dtype=object), step=np.arange(1))
    return path


def poisoned_parquet(path):
    """Types of an extension that pyarrow once unpickled, and a pickle wherever words may stand."""
    words = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Poison()),
        b"PARQUET:field_id": b"1",
    }
    fields = [pa.field(n, pa.float64(), metadata=words) for n in ("step", "test_accuracy")]
    told = {b"pandas": pickle.dumps(Poison()), b"grokjax": pickle.dumps(Poison())}
    columns = [[0.0, 1.0, 2.0], [0.1, 0.2, 1.0]]
    pq.write_table(pa.table(columns, schema=pa.schema(fields, metadata=told)), path)
    return path


def poisoned_yaml(path):
    path.with_name("curves.csv").write_text("step,test_accuracy\n0,0.1\n1,1.0\n")
    path.write_text(f"lr: !!python/object/apply:exec [{json.dumps(CODE)}]\n")
    return path.parent


def poisoned_json(path):
    path.with_name("curves.csv").write_text("step,test_accuracy\n0,0.1\n1,1.0\n")
    told = {
        "lr": f"__import__('builtins').{CODE}",
        "py/reduce": [{"py/type": "builtins.exec"}, [CODE]],
    }
    path.write_text(json.dumps(told))
    return path.parent


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("curves.npz", poisoned_npz),
        ("curves.parquet", poisoned_parquet),
        ("config.yaml", poisoned_yaml),
        ("config.json", poisoned_json),
    ],
)
def test_poisoned_curves_are_refused_or_read_without_the_poison(tmp_path, name, make):
    (tmp_path / "theirs").mkdir()
    source = make(tmp_path / "theirs" / name)
    try:
        grokjax.read_curves(source, quiet=True)
    except ConfigError as error:
        assert str(tmp_path / "theirs") in str(error)


def test_poisoned_weights_are_refused(tmp_path, capsys):
    poisoned_npz(tmp_path / "net.npz")
    (tmp_path / "net.safetensors").write_bytes(pickle.dumps(Poison()))
    for name in ("net.npz", "net.safetensors"):
        assert measure.main([str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err


def test_a_poisoned_folder_is_shown_without_running_what_is_in_it(
    tmp_path, one_figure, quick_figures
):
    folder = synthetic_results(tmp_path / "sweep", [0.1, 1.0], [0.3, 0.5], seeds=2)
    for name in ("experiment.py", "__init__.py", "conftest.py", "pandas.py", "sitecustomize.py"):
        (folder / name).write_text(CODE)
    told = json.loads((folder / "sweep.json").read_text())
    told["sources"] = {"own": CODE}
    told["vocabularies"] = {"0": {"vocabulary": [CODE], "class_names": [CODE]}}
    told["base"] = {"task": "operation", "task.formula": f"__import__('os').system({CODE!r})"}
    (folder / "sweep.json").write_text(json.dumps(told))
    (part,) = (folder / "runs").iterdir()
    pq.write_table(
        pq.read_table(part).replace_schema_metadata({b"pandas": pickle.dumps(Poison())}), part
    )
    results = grokjax.load(folder)
    assert len(results.runs) == 8
    assert phase.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    with pytest.raises(ConfigError):
        weights.run_of(results, results.runs["run_id"][0])


def head(length, text=b""):
    return struct.pack("<Q", length) + text


@pytest.mark.parametrize(
    "content",
    {
        "a length without end": head(2**63 - 1),
        "a length beyond the file": head(1000, b"{}"),
        "half a gigabyte": head(2**29, b"{}"),
        "deep": head(200_000, b"[" * 200_000),
        "numbers beyond the file": head(
            70, b'{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,40000]}}'.ljust(70)
        ),
        "a negative shape": head(
            70, b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'.ljust(70) + bytes(4)
        ),
        "empty": b"",
    }.items(),
    ids=lambda item: item[0],
)
def test_heads_of_weights_that_lie_are_refused(tmp_path, content):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content[1])
    for read in (files.read, lambda p: snapshots.read(snapshots.Snapshot(p, "0", 0))):
        with pytest.raises(ConfigError, match=r"net\.safetensors: not readable"):
            read(path)


def test_what_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("step.npy", bytes(2**24))
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(2**24)))
    zeros = pa.table({"step": pa.array(np.zeros(2**21)), "test_accuracy": np.zeros(2**21)})
    pq.write_table(zeros, tmp_path / "bomb.parquet", use_dictionary=False)
    sizes = {"SC_PHYS_PAGES": 2**11, "SC_PAGE_SIZE": 2**12}
    monkeypatch.setattr(outside.os, "sysconf", sizes.get)
    for name in ("bomb.npz", "bomb.csv.gz", "bomb.parquet"):
        assert (tmp_path / name).stat().st_size < 2**25
        with pytest.raises(ConfigError, match="unpacks to"):
            grokjax.read_curves(tmp_path / name, quiet=True)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    for name in ("curves.csv", "curves.parquet", "curves.npz", "net.safetensors", "run.wandb"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ConfigError, match="it is no file"):
            if name.startswith("net"):
                files.read(tmp_path / name)
            else:
                grokjax.read_curves(tmp_path / name, quiet=True)


def test_donors_that_results_name_lie_beside_them(tmp_path):
    from grokjax.engine import donors

    run = grokjax.Experiment(start=grokjax.StartFrom("/etc", step="end"))
    with pytest.raises(ConfigError, match="lies elsewhere; give the experiment"):
        donors.find(run, tmp_path / "sweep")
    beside = grokjax.Experiment(start=grokjax.StartFrom(str(tmp_path / "first"), step="end"))
    with pytest.raises(ConfigError, match=r"no sweep\.json"):
        donors.find(beside, tmp_path / "sweep")


ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202e"


@pytest.mark.drawn
def test_no_word_of_a_folder_or_table_is_obeyed_by_a_terminal(tmp_path, monkeypatch, quick_figures):
    folder = synthetic_results(tmp_path / "sweep", [0.1, 1.0], [0.3, 0.5], seeds=2)
    (part,) = (folder / "runs").iterdir()
    runs = pq.read_table(part)
    kinds = pa.array([ESCAPES, "plain"] * (len(runs) // 2))
    pq.write_table(runs.append_column(f"kind{ESCAPES}", kinds), part)
    told = json.loads((folder / "sweep.json").read_text())
    told["axes"][f"kind{ESCAPES}"] = [ESCAPES, "plain"]
    told["command"] = told["name"] = ESCAPES
    told["warnings"] = [ESCAPES]
    (folder / "sweep.json").write_text(json.dumps(told))
    curves = tmp_path / "curves.csv"
    curves.write_text(f"step,test_accuracy,loss{ESCAPES}\n0,0.1,1\n1,1.0,0\n")
    shown = io.BytesIO()
    with monkeypatch.context() as patch:
        streams = [command.Printed(shown, "utf-8", "backslashreplace") for _ in range(2)]
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        for arguments in (
            [str(folder), "--out", str(tmp_path / "out")],
            [str(folder), "--x", ESCAPES, "--out", str(tmp_path / "out")],
            [str(curves), "--out", str(tmp_path / "read")],
        ):
            phase.main(arguments)
        print(repr(grokjax.load(folder)))
        for stream in streams:
            stream.flush()
    text = shown.getvalue().decode() + (tmp_path / "out" / "summary.md").read_text()
    assert "\\x1b[31mred" in text
    assert not {*text} & {*"\x1b\x07\x9b\u202e"}


def test_what_is_meant_for_the_terminal_reaches_it():
    below = io.BytesIO()
    stream = command.Printed(below, "utf-8", "backslashreplace")
    command.controls(stream).write("\x1b[2J")
    print("\x1b[2J \udcff", file=stream, flush=True)
    assert below.getvalue() == b"\x1b[2J\\x1b[2J \\udcff\n"


def test_a_manifest_that_was_changed_by_hand_says_how_to_go_on(tmp_path):
    manifest.write(tmp_path, {"schema_version": 4, "name": "mine", "axes": {"seed": [0, 1]}})
    path = tmp_path / "sweep.json"
    path.write_text(path.read_text().replace('"mine"', '"yours"'))
    with pytest.raises(ConfigError, match="remove its line 'blake2b'"):
        grokjax.load(tmp_path)
    told = json.loads(path.read_text())
    del told["blake2b"]
    path.write_text(json.dumps(told))
    assert grokjax.load(tmp_path).manifest["name"] == "yours"
