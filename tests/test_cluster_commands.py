"""The words of the command line about workers, and what is said where they cannot be."""

import importlib.metadata
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from crashes import Killed, small, swept
from workers import Here, cluster, run

import grokjax
from grokjax import Cluster, overrides
from grokjax.cluster import __main__ as commands
from grokjax.cluster.cut import Work
from grokjax.cluster.engines import check_installed
from grokjax.cluster.engines.ray import RayEngine
from grokjax.cluster.join import Committer
from grokjax.config import ConfigError
from grokjax.dry_run import describe
from grokjax.engine import plan


def options(*words):
    return overrides.parse(small(), list(words))[0].placed


def test_flags_say_where_workers_are():
    assert options("--quiet") is None
    given = options("--cluster", "slurm", "--workers", "8", "--slurm.partition", "gpu", "--detach")
    assert given == Cluster("slurm", workers=8, detach=True, slurm=grokjax.Slurm(partition="gpu"))
    assert given.shard_seconds == 600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--workers 3", "workers=3: it is about workers, say with --cluster"),
        ("--cluster nowhere", "cluster='nowhere': choose from inline"),
        ("--cluster ray://head:10001", "ray job submit"),
        ("--cluster inline --workers 0", "workers=0: give 1 or more"),
        ("--cluster inline --gpus 2", "gpus=2: a worker trains on one"),
        ("--cluster inline --kind H100", "kind='H100': cluster='inline' has no use for it"),
        ("--cluster auto --detach", "detach=True: cluster='auto' has no use for it"),
        ("--cluster slurm --insecure", "insecure=True: cluster='slurm' has no use for it"),
        ("--cluster inline --shard-minutes 0", "shard_minutes=0.0: give a time above 0"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(words, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        options(*words.split())


@pytest.mark.parametrize(
    ("word", "extra"), [("local", "ray"), ("10.0.0.1:6379", "ray"), ("slurm", "slurm")]
)
def test_an_engine_that_is_not_installed_is_refused(monkeypatch, word, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=re.escape(f"pip install 'grokjax[{extra}]'")):
        check_installed(word)


def test_an_autoscaler_sees_how_many_workers_are_wanted():
    """It begins nodes for what waits: a cluster without any would otherwise stay without."""
    node = {"Alive": True, "Labels": {}, "Resources": {"CPU": 3.0}}
    for nodes, workers, jobs in (([], None, 1), ([], 5, 5), ([node], None, 3), ([node], 5, 5)):
        cluster = types.SimpleNamespace(nodes=lambda nodes=nodes: nodes)
        assert RayEngine(cluster, Cluster("auto", workers=workers)).capacity() == jobs


def test_without_extras_no_engine_is_installed():
    needed = importlib.metadata.requires("grokjax")
    plain = {re.split(r"[^\w-]", one)[0] for one in needed if "extra ==" not in one}
    assert not plain & {"ray", "submitit", "cloudpickle", "fsspec"}


def test_without_a_cluster_nothing_of_it_is_imported():
    script = (
        "import sys, grokjax.engine.sweep, grokjax.sweep; "
        "found = {'ray', 'submitit', 'grokjax.cluster'} & set(sys.modules); "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_shards_are_large_first_and_then_small():
    experiment = swept(small(), weight_decay=[0.1 * n for n in range(10)], seed=range(10))
    programs = plan.make(experiment, lanes=2)
    cuts = {p.name: {"lanes": 2, "run_step_seconds": 1.0} for p in programs}
    work, sizes, seen = Work(programs, cuts, ()), [], []
    while piece := work.next(4, 2000.0):
        sizes.append(len(piece.runs))
        seen += [run.run_id for run in piece.runs]
    assert sizes[0] == 12 and sizes[-1] == 2 and sizes == sorted(sizes, reverse=True)
    assert sorted(seen) == sorted(run.run_id for run in experiment.runs())


def test_a_dry_run_says_what_workers_get(tmp_path):
    experiment = swept(small(), seed=range(4))
    told = describe(experiment, tmp_path / "out", lanes=1, cluster=Cluster("inline", workers=2))
    assert "on 2 workers: 3 shards of at most 0 s" in told


@pytest.mark.drawn
def test_commands_look_join_and_stop(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sweep"
    experiment = swept(small(), seed=range(4))

    def killed(self, depot, done):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "take", killed)
        with pytest.raises(Killed):
            run(experiment, folder, Here(1))
    assert commands.main(["status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "0 of 4 runs" in said and "1 shards cut and not joined" in said
    assert commands.main(["join", str(folder)]) == 0
    assert "joined 2 runs" in capsys.readouterr().out
    assert len(grokjax.load(folder).runs) == 2
    assert commands.main(["stop", str(folder)]) == 0
    assert run(experiment, folder).finished
    for words in (["status", str(folder)], ["jion", "x"], ["join"], ["status", str(tmp_path)]):
        assert commands.main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1
    with pytest.raises(SystemExit, match=r"^0$"):
        commands.main(["--help"])
    assert cluster().cores


def test_nothing_in_a_depot_is_unpickled():
    """A pickle comes from the driver through the engine, or it is not read."""
    room = Path(grokjax.__file__).parent / "cluster"
    found = {
        p.relative_to(room).as_posix() for p in room.rglob("*.py") if "pickle." in p.read_text()
    }
    assert {name for name in found if not name.startswith("engines/")} == {"parcel.py"}
