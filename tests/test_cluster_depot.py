"""What is put into a depot is found whole or not at all, on bad days and by many at once."""

import hashlib
import os

import pytest
from flaky import Clock, Flaky
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grokjax.cluster import bundles, depot, shards
from grokjax.cluster.bundles import DamagedError, Sender
from grokjax.cluster.depot import Depot, Folder, open_depot
from grokjax.config import ConfigError


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(depot, "time", clock)
    return clock


def state(tick):
    """What a deterministic trainer has at a tick, as files."""
    return {f"curves/{n}.parquet": hashlib.sha256(b"%d" % n).digest() for n in range(tick + 1)} | {
        "checkpoint": b"%d" % tick
    }


class Attempt:
    """An attempt at a shard whose trainer is a hash: five ticks, and then results."""

    LAST = 4

    def __init__(self, store, folder, name):
        self.depot, self.folder, self.home = store, folder / name, f"shards/s/{name}"
        names = store.names("shards/s")
        commit = shards.furthest(store, names)
        self.tick = commit.tick if commit else -1
        if commit:
            assert commit.contents == state(self.tick)
        self.sender = Sender(store, self.home, self.folder, commit.files if commit else {})
        self.done = False

    def step(self):
        self.tick += 1
        bundles.unpack(state(self.tick), self.folder)
        paths = [self.folder / path for path in state(self.tick)]
        if self.tick <= self.LAST:
            files = self.sender.send(f"rows-{self.tick}", paths)
            name = f"{self.home}/tick-{self.tick:08d}.json"
            self.depot.put_json(name, {"tick": self.tick, "files": files})
        else:
            files = self.sender.send("results", paths[:-1])
            self.depot.put_json(f"{self.home}/done.json", {"files": files})
            self.done = True


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    moves=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["step", "step", "die"])), max_size=30
    ),
)
def test_any_interleaving_of_workers_that_die_ends_in_the_same_results(
    seed, moves, tmp_path_factory
):
    clock, folder = Clock(), tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depot, "time", clock)
        patch.setattr(depot, "TRIES", 12)  # enough for all of them to go well in the end
        store = Depot(Flaky(clock, seed, late=20.0), patience=60.0)
        workers, count = {}, 0
        for who, what in [*moves, *[(0, "step")] * 2 * (Attempt.LAST + 2)]:
            if who not in workers or what == "die":
                count += 1
                workers[who] = Attempt(store, folder, f"{count:02d}")
            elif not workers[who].done:
                workers[who].step()
        clock.sleep(100.0)
        attempt, told = shards.results(store, store.names("shards/s"))
        assert attempt
        expected = state(Attempt.LAST + 1)
        del expected["checkpoint"]
        assert bundles.receive(store, told["files"]) == expected


def test_what_comes_late_is_waited_for(clock):
    place = Flaky(clock, seed=1, late=50.0, fails=0.3)
    store = Depot(place)
    store.put_json("a/b.json", [1])
    assert store.look("a/b.json") is None
    assert store.get_json("a/b.json") == [1]
    with pytest.raises(FileNotFoundError):
        store.get("a/never")


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_damage_is_noticed(tmp_path, kind, clock):
    url = str(tmp_path / "depot") if kind == "folder" else f"memory://{tmp_path.name}"
    store = open_depot(url, patience=0.0)
    store.make()
    bundles.unpack(state(2), tmp_path / "sweep")
    paths = [tmp_path / "sweep" / path for path in state(2)]
    sender = Sender(store, "shards/s/a", tmp_path / "sweep", {})
    files = sender.send("rows", paths)
    assert bundles.receive(store, files) == state(2)
    assert bundles.receive(store, files, ["checkpoint"]) == {"checkpoint": b"2"}
    assert sender.send("again", paths) == files  # nothing is put twice
    assert store.names("shards/s") == ["shards/s/a/rows.tar"]
    content = store.get("shards/s/a/rows.tar")
    at = content.index(state(2)["curves/1.parquet"])
    store.put("shards/s/a/rows.tar", content[:at] + b"\0" + content[at + 1 :])
    with pytest.raises(DamagedError):
        bundles.receive(store, files)
    store.put("shards/s/a/rows.tar", content[: len(content) // 3])
    with pytest.raises(DamagedError):
        bundles.receive(store, files)
    store.remove("shards/s")
    with pytest.raises(DamagedError):
        bundles.receive(store, files)
    assert store.names() == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../elsewhere", "a/../../b"])
def test_no_listing_writes_outside_of_its_folder(tmp_path, path):
    with pytest.raises(DamagedError):
        bundles.unpack({path: b"x"}, tmp_path / "sweep")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", ["a.json", "shards/s/a/done.json"])
def test_nothing_is_put_where_the_depot_was_removed(tmp_path, name):
    store = open_depot(str(tmp_path / "depot"))
    store.make()
    store.put_json(name, 1)
    assert store.still_has(name)
    store.remove("")
    assert not store.still_has(name)
    with pytest.raises(FileNotFoundError):
        store.put_json(name, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_write_into_is_removed(tmp_path, monkeypatch):
    folder, rmdir, late = tmp_path / "shards", os.rmdir, [1, 2, 3]

    def busy(path, **options):
        if late:
            (folder / "s" / str(late.pop())).touch()
        rmdir(path, **options)

    (folder / "s").mkdir(parents=True)
    monkeypatch.setattr(os, "rmdir", busy)
    Folder(tmp_path).remove("shards")
    assert (late, list(tmp_path.iterdir())) == ([], [])


def test_half_a_listing_is_none(tmp_path):
    store = Depot(Folder(tmp_path), patience=0.0)
    store.put("shards/s/a/done.json", b'{"files": {"a"')
    assert shards.results(store, store.names("shards/s")) is None


def test_a_place_that_nothing_reads_is_refused():
    with pytest.raises(ConfigError, match="depot='nowhere://x/y'"):
        open_depot("nowhere://x/y")


def test_a_bucket(clock):
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        import fsspec

        options = {"endpoint_url": f"http://{host}:{port}", "key": "k", "secret": "s"}
        fsspec.filesystem("s3", **options).mkdir("bucket")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(fsspec.config.conf, "s3", options)
            store = open_depot("s3://bucket/sweeps/one", patience=0.0)
            store.put_json("shards/a.json", {"x": 1})
            store.put("shards/a/b.tar", b"123")
            assert store.names("shards") == ["shards/a.json", "shards/a/b.tar"]
            assert store.look("shards/none.json") is None
            assert store.get("shards/a/b.tar") == b"123"
            store.remove("shards/a")
            assert store.names() == ["shards/a.json"]
    finally:
        server.stop()
