"""A depot in a bucket: moto's server stands for S3, where it and s3fs are installed."""

import pytest
from crashes import assert_same_rows, small, swept
from workers import Here, Lost, run

import grokjax
from grokjax.cluster import attempt, loop
from grokjax.cluster import depot as depots
from grokjax.cluster.depot import open_depot
from grokjax.config import Cluster, ConfigError
from grokjax.engine import backend

s3fs = pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket():
    """The URL of an empty bucket, and its files."""
    s3 = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("grokjax")
        yield "s3://grokjax/sweeps", files
        s3fs.S3FileSystem.clear_instance_cache()
    s3.stop()


def test_a_sweep_through_a_bucket_whose_worker_dies_has_the_same_bits(
    bucket, tmp_path, monkeypatch
):
    url, files = bucket
    experiment = swept(small(), weight_decay=[0.1, 1.0], seed=range(2))
    grokjax.run(experiment, tmp_path / "alone", lanes=2, progress=False)
    monkeypatch.setattr(loop, "PUSH_SECONDS", 0.0)
    monkeypatch.setattr(attempt, "LOSS_SECONDS", 0.0)  # every commit is pushed
    pushed, deaths = [], []
    committed = attempt.Attempt._committed

    def deadly(self, tick, note):
        committed(self, tick, note)
        pushed.append(files.find("grokjax/sweeps"))
        if not deaths:
            deaths.append(tick)
            raise Lost("killed")

    monkeypatch.setattr(attempt.Attempt, "_committed", deadly)
    options = Cluster("inline", cores=backend.cores(), shard_minutes=1e-9, depot=url)
    results = run(experiment, tmp_path / "sweep", Here(), cluster=options)
    assert results.finished and deaths
    assert_same_rows(tmp_path / "sweep", tmp_path / "alone")
    ends = {name.rpartition(".")[2] for names in pushed for name in names}
    assert ends <= {"json", "tar"}, "no pickle lies in a depot"
    assert files.find("grokjax/sweeps") == []  # it goes with the sweep's end


def test_two_writers_of_an_object_are_never_needed(bucket):
    """S3 may ignore that an object is to be new, so nothing is created that way: names differ."""
    url, _ = bucket
    depot, other = open_depot(f"{url}/twice"), open_depot(f"{url}/twice")
    depot.put_json("shards/a/one/done.json", {"n": 1})
    other.put_json("shards/a/two/done.json", {"n": 1})
    assert other.names("shards/a") == ["shards/a/one/done.json", "shards/a/two/done.json"]
    assert depot.look("shards/a/two/done.json") == {"n": 1} and depot.look("shards/b") is None
    depot.remove("")
    assert other.names() == []


def test_a_bucket_that_is_not_there_is_said_in_a_sentence(bucket, tmp_path):
    experiment = swept(small(), seed=range(2))
    options = Cluster("inline", cores=backend.cores(), depot="s3://nowhere/sweeps")
    sentence = r"^depot='s3://nowhere/sweeps/.*bucket does not exist; give one that can be w"
    with pytest.raises(ConfigError, match=sentence):
        run(experiment, tmp_path / "sweep", Here(), cluster=options)


def test_a_server_that_is_away_is_an_error_of_a_file_system(bucket, monkeypatch):
    monkeypatch.setattr(depots, "TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match=r"^EndpointConnectionError: "):
        open_depot("s3://grokjax/sweeps").names()
