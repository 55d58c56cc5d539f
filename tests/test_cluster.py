"""A sweep on workers is the sweep of one process, bit for bit, however it is cut and whoever dies."""

import dataclasses
import itertools
import threading
import time

import jax
import pytest
from crashes import Killed, assert_same_rows, small, snapshot, swept
from workers import Here, Lost, cluster, run

import grokjax
from grokjax.cluster import attempt, crew, drive, loop, shards, signature, words
from grokjax.cluster.depot import Depot, Folder, open_depot
from grokjax.config import ConfigError
from grokjax.config.cluster import WorkersError
from grokjax.engine import plan, sweep, trainer
from grokjax.engine.lanes import Lanes
from grokjax.engine.rounds import Round
from grokjax.results import manifest


@pytest.fixture(scope="module")
def experiment():
    return swept(small(), weight_decay=[0.1, 1.0], seed=range(2))


@pytest.fixture(scope="module", autouse=True)
def many_pushes():
    """Several commits a shard, each of which is put into the depot; one program for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SEGMENT_SECONDS", 0.006)
        patch.setattr(plan, "TICK_SECONDS", 0.012)
        patch.setattr(loop, "PUSH_SECONDS", 0.0)
        patch.setattr(attempt, "LOSS_SECONDS", 0.0)
        patch.setattr(manifest, "git_state", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def alone(experiment, tmp_path_factory):
    """The folder of the sweep in one process, in two lanes."""
    folder = tmp_path_factory.mktemp("alone") / "sweep"
    grokjax.run(experiment, folder, lanes=2, progress=False)
    return folder


@pytest.mark.parametrize(
    ("minutes", "slots", "order"), [(10.0, 1, None), (1e-9, 2, 1), (1e-9, 1, 2)]
)
def test_tables_are_those_of_one_process(experiment, alone, tmp_path, minutes, slots, order):
    engine = Here(slots, order)
    given = cluster(shard_minutes=minutes)
    results = run(experiment, tmp_path / "sweep", engine, cluster=given)
    assert results.finished
    assert len(engine.jobs) == 1 + (1 if minutes == 10.0 else 2)  # one of them calibrates
    assert_same_rows(tmp_path / "sweep", alone)
    names = [{p.name for p in folder.iterdir()} for folder in (tmp_path / "sweep", alone)]
    assert names[0] == names[1]


def test_workers_whose_bits_would_differ_train_nothing(experiment, tmp_path, monkeypatch):
    engine = Here()
    right = signature.here

    def other(cut):
        calibrates = len(engine.jobs) == 1
        return right(cut) if calibrates else right(cut) | {"jaxlib": "0.0.1", "cores": 9}

    monkeypatch.setattr(signature, "here", other)
    with pytest.raises(WorkersError, match=r"other bits than the sweep's .*cores 9 for") as refused:
        run(experiment, tmp_path / "sweep", engine)
    assert len(str(refused.value)) < 400
    assert not list((tmp_path / "sweep").glob("*/*.parquet"))
    assert not list((tmp_path / "sweep").rglob("begin.json"))


def test_a_worker_that_dies_costs_what_came_after_its_last_push(
    experiment, alone, tmp_path, monkeypatch
):
    deaths = iter([1, 1])
    committed = attempt.Attempt._committed

    def deadly(self, tick, note):
        committed(self, tick, note)
        self.commits = getattr(self, "commits", 0) + 1
        if self.commits == self.dies_after:
            raise Lost("killed")

    def sometimes(job):
        attempt.Attempt.dies_after = next(deaths, None)

    monkeypatch.setattr(attempt.Attempt, "_committed", deadly)
    begun = []
    put = Depot.put_json

    def noted(self, name, value):
        if name.endswith("begin.json"):
            begun.append(value["tick"])
        put(self, name, value)

    monkeypatch.setattr(Depot, "put_json", noted)
    engine = Here(1, before=lambda job: job.shard and sometimes(job))
    results = run(experiment, tmp_path / "sweep", engine)
    assert results.finished
    assert_same_rows(tmp_path / "sweep", alone)
    # Two shards, the first of which takes two more attempts, each from the last commit.
    assert begun == [-1, 0, 1, -1]


def run_killed_at(write, experiment, folder):
    """A sweep whose process, driver and workers, dies at some write into its depot."""
    left, put = [write], Folder.put

    def deadly(self, name, content):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        put(self, name, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "put", deadly)
        run(experiment, folder)


def test_a_driver_that_dies_is_followed_by_the_same_command(experiment, alone, tmp_path):
    for write in (3, 9, 15):
        with pytest.raises(Killed):
            run_killed_at(write, experiment, tmp_path / "sweep")
    assert run(experiment, tmp_path / "sweep").finished
    assert_same_rows(tmp_path / "sweep", alone)


@pytest.mark.slow
def test_a_driver_may_die_at_any_write_into_the_depot(experiment, alone, tmp_path):
    for write in itertools.count(1):
        folder = tmp_path / str(write) / "sweep"
        try:
            run_killed_at(write, experiment, folder)
            break
        except Killed:
            assert run(experiment, folder).finished
            assert_same_rows(folder, alone)
    assert write > 20


def test_two_workers_at_one_shard_leave_it_once(experiment, alone, tmp_path, monkeypatch):
    """One is frozen at a commit, another does all of it from there, and then the first goes on."""
    nested = []
    committed = attempt.Attempt._committed

    def overtaken(self, tick, note):
        committed(self, tick, note)
        if not nested:
            nested.append(self._name)
            attempt.run(dataclasses.replace(current[0], attempt="other"))

    current = []
    monkeypatch.setattr(attempt.Attempt, "_committed", overtaken)
    engine = Here(1, before=lambda job: current.insert(0, job))
    assert run(experiment, tmp_path / "sweep", engine).finished
    assert_same_rows(tmp_path / "sweep", alone)


@pytest.mark.parametrize("checks", [True, False])
def test_a_worker_that_outlives_the_sweep_leaves_nothing_behind(
    experiment, alone, tmp_path, monkeypatch, checks
):
    """It was cut off; a folder with `.work` would be one whose sweep is not finished."""
    stop, jobs = threading.Event(), []

    def cut_off(job):
        if job.shard:
            jobs.append(job)
            stop.set()
            raise Lost("no word of it")

    engine = Here(1, before=cut_off)
    assert not run(experiment, tmp_path / "sweep", engine, stop=stop).finished
    open_depot(drive.url_of(tmp_path / "sweep")).remove(shards.STOP)
    committed = attempt.Attempt._committed

    def outlived(self, tick, note):
        monkeypatch.setattr(attempt.Attempt, "_committed", committed)
        assert run(experiment, tmp_path / "sweep").finished
        committed(self, tick, note)

    monkeypatch.setattr(attempt.Attempt, "_committed", outlived)
    if checks:
        attempt.run(dataclasses.replace(jobs[0], attempt="late"))
    else:  # the sweep ends between its look and what it puts
        monkeypatch.setattr(attempt.Attempt, "_wanted", lambda self: True)
        with pytest.raises(FileNotFoundError):
            attempt.run(dataclasses.replace(jobs[0], attempt="late"))
    assert_same_rows(tmp_path / "sweep", alone)
    names = [{p.name for p in folder.iterdir()} for folder in (tmp_path / "sweep", alone)]
    assert names[0] == names[1]


class Frozen(Lost):
    """The worker of an attempt says no more, and nobody hears of its end."""


class Freezing(Here):
    """An engine whose first worker at a shard freezes once it has put a commit."""

    def __init__(self, slots, monkeypatch):
        super().__init__(slots, before=self._begins)
        self.frozen, self.cancelled, self._freezes = [], [], False
        committed = attempt.Attempt._committed

        def freezing(attempt, tick, note):
            committed(attempt, tick, note)
            if self._freezes:
                raise Frozen("frozen")

        monkeypatch.setattr(attempt.Attempt, "_committed", freezing)

    def _begins(self, job):
        self._freezes = bool(job.shard) and not self.frozen
        if self._freezes:
            self.frozen.append(job.attempt)

    def wait(self, seconds):
        return [end for end in super().wait(seconds) if end.error != "frozen"]

    def cancel(self, handles):
        self.cancelled += handles
        super().cancel(handles)


def test_a_worker_that_takes_far_too_long_does_not_hold_up_the_sweep(
    experiment, alone, tmp_path, monkeypatch
):
    """Another goes on from its last commit, and it is cancelled when that one is through."""
    for name in ("SLOW", "LEAST_SECONDS"):
        monkeypatch.setattr(loop, name, 0.0)
    monkeypatch.setattr(words, "EVERY_SECONDS", 0.0)
    engine = Freezing(2, monkeypatch)
    given = cluster(shard_minutes=10.0)
    assert run(experiment, tmp_path / "sweep", engine, cluster=given).finished
    assert_same_rows(tmp_path / "sweep", alone)
    trained = [job.shard for job in engine.jobs if job.shard]
    assert len(trained) == len(set(trained)) + 1  # one of them was given out twice
    assert set(engine.frozen) <= set(engine.cancelled)


def test_pushes_are_as_rare_as_a_slow_depot_needs(experiment, alone, tmp_path, monkeypatch):
    """The first one comes when it is due; the next ones would be more than the depot takes."""
    put, pushes = Depot.put_json, []

    def noted(self, name, value):
        pushes.append(name)
        put(self, name, value)

    monkeypatch.setattr(Depot, "put_json", noted)
    for rate in (None, 1e-6):
        pushes.clear()
        given = cluster(shard_minutes=10.0, depot_mb_per_s=rate)
        assert run(experiment, tmp_path / str(rate), Here(1), cluster=given).finished
        ticks = sum("/tick-" in name for name in pushes)
        assert (ticks == 1) if rate else (ticks > 1)
        assert_same_rows(tmp_path / str(rate), alone)


def test_a_machine_that_is_cut_off_takes_nobodys_place(experiment, alone, tmp_path, monkeypatch):
    """Its worker says no more and is never said to have ended; the only machine left trains on."""
    monkeypatch.setattr(crew, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(words, "EVERY_SECONDS", 0.0)
    engine = Freezing(1, monkeypatch)
    assert run(experiment, tmp_path / "sweep", engine).finished
    assert_same_rows(tmp_path / "sweep", alone)
    assert set(engine.frozen) <= set(engine.cancelled)


def test_a_driver_elsewhere_is_waited_for_until_it_is_replaced(
    experiment, alone, tmp_path, monkeypatch
):
    stop = threading.Event()
    engine = Here(1, before=lambda job: job.shard and stop.set())
    assert not run(experiment, tmp_path / "sweep", engine, stop=stop).finished
    depot = open_depot(drive.url_of(tmp_path / "sweep"))
    depot.put_json(words.DRIVER, {"token": "other", "host": "elsewhere", "time": time.time()})
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match=r"a driver on elsewhere gave word .* --takeover"):
        run(experiment, tmp_path / "sweep")
    assert snapshot(tmp_path) == before
    given = cluster(takeover=True)
    assert run(experiment, tmp_path / "sweep", cluster=given).finished
    assert_same_rows(tmp_path / "sweep", alone)


def test_donors_and_masks_reach_workers_that_see_no_other_folder(tmp_path):
    donor = dataclasses.replace(
        swept(small(), seed=range(2)), snapshots=grokjax.SnapshotSchedule(at=(20,))
    )
    grokjax.run(donor, tmp_path / "donor", lanes=2, progress=False)
    where = str(tmp_path / "donor")
    experiment = dataclasses.replace(
        swept(small(), seed=range(2)),
        start=grokjax.StartFrom(where, step=20, match=("seed",)),
        mask=grokjax.Mask(where, step=20, keep=0.5, match=("seed",)),
    )
    grokjax.run(experiment, tmp_path / "alone", lanes=2, progress=False)

    def unseen(job):
        if job.shard:
            (tmp_path / "donor" / "snapshots").rename(tmp_path / "unseen")

    given = cluster(shard_minutes=10.0)
    assert run(experiment, tmp_path / "sweep", Here(1, before=unseen), cluster=given).finished
    assert_same_rows(tmp_path / "sweep", tmp_path / "alone")


@pytest.mark.drawn
def test_a_run_that_kills_its_workers_fails_and_the_others_finish(tmp_path, monkeypatch):
    advance = Lanes.advance

    def deadly(self):
        if any(occupant and occupant.run.config.seed == 1 for occupant in self.occupants):
            raise Lost("killed")
        advance(self)

    monkeypatch.setattr(Lanes, "advance", deadly)
    given = cluster(max_lost=2)
    results = run(swept(small(), seed=range(3)), tmp_path / "sweep", lanes=1, cluster=given)
    assert results.finished
    assert list(results.runs.sort_values("seed")["status"]) == ["done", "failed", "done"]
    assert set(results.runs["error"].dropna()) == {"2 workers died without progress"}
    assert results.curves["run_id"].nunique() == 2


@pytest.mark.drawn
def test_a_program_that_does_not_fit_is_cut_anew_for_all_its_runs(
    experiment, tmp_path, monkeypatch
):
    train = trainer.Trainer._train_program
    seen = []

    def too_large(self, program):
        seen.append(program.lanes)
        if program.lanes == 2 and len(seen) > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no memory")
        train(self, program)

    monkeypatch.setattr(trainer.Trainer, "_train_program", too_large)
    results = run(experiment, tmp_path / "sweep")
    assert results.finished and set(results.runs["lanes"]) == {1}
    (cut,) = results.manifest["programs"].values()
    assert cut["lanes"] == cut["signature"]["lanes"] == 1
    assert len(results.runs) == 4


def test_a_full_disk_of_workers_stops_the_sweep_which_goes_on(
    experiment, alone, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_commit", full)
        with pytest.raises(WorkersError, match="No space left"):
            run(experiment, tmp_path / "sweep")
    assert run(experiment, tmp_path / "sweep").finished
    assert_same_rows(tmp_path / "sweep", alone)


def test_a_folder_goes_on_with_workers_and_without(experiment, alone, tmp_path):
    first = swept(small(), weight_decay=[0.1], seed=range(2))
    grokjax.run(first, tmp_path / "sweep", lanes=2, progress=False)
    assert run(experiment, tmp_path / "sweep").finished
    assert_same_rows(tmp_path / "sweep", alone)
    more = swept(small(), weight_decay=[0.1, 1.0], seed=range(3))
    results = grokjax.run(more, tmp_path / "sweep", progress=False)
    assert len(results.runs) == 6 and set(results.runs["lanes"]) == {2}


def test_stopped_workers_put_what_they_have(experiment, alone, tmp_path, monkeypatch):
    stop = threading.Event()
    engine = Here(1, before=lambda job: job.shard and stop.set())
    results = run(experiment, tmp_path / "sweep", engine, stop=stop)
    assert not results.finished and 0 < len(results.runs) < 4
    assert run(experiment, tmp_path / "sweep").finished
    assert_same_rows(tmp_path / "sweep", alone)


def test_a_budget_grows(tmp_path):
    small_budget = dataclasses.replace(swept(small(), seed=range(2)), steps=60)
    large = dataclasses.replace(small_budget, steps=100)
    run(small_budget, tmp_path / "sweep")
    results = run(large, tmp_path / "sweep")
    assert results.finished and set(results.runs["last_step"]) == {100}
    grokjax.run(large, tmp_path / "alone", lanes=2, progress=False)
    assert_same_rows(tmp_path / "sweep", tmp_path / "alone")


def test_another_number_of_cores_is_refused(experiment, tmp_path):
    run(swept(small(), seed=range(2)), tmp_path / "sweep")
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match="cores=7: this sweep was started with"):
        run(swept(small(), seed=range(3)), tmp_path / "sweep", cluster=cluster(cores=7))
    assert snapshot(tmp_path) == before


@pytest.mark.drawn
@pytest.mark.parametrize("started", [False, True])
def test_rounds_are_trained_one_after_another(tmp_path, monkeypatch, started):
    """The tables of a round decide about the next; here what is decided is given."""
    experiment = dataclasses.replace(
        swept(small(), weight_decay=[0.1, 1.0], train_fraction=[0.4, 0.6]),
        refine=grokjax.Refine(runs=2, rounds=2),
    )
    if started:  # by one network, which every round needs
        donor = dataclasses.replace(small(), snapshots=grokjax.SnapshotSchedule(at=(20,)))
        grokjax.run(donor, tmp_path / "donor", lanes=1, progress=False)
        start = grokjax.StartFrom(str(tmp_path / "donor"), step=20, match=())
        experiment = dataclasses.replace(experiment, start=start)
    seen = []

    def given(experiment, refine, rounds, results):
        seen.append(sorted(results.runs["run_id"]))
        cells = {0: ({"weight_decay": 0.5, "train_fraction": 0.5},)}.get(len(rounds), ())
        return Round(cells, len(results.runs), 0.1, None if cells else "the runs are spent")

    monkeypatch.setattr(sweep, "next_round", given)
    engine = Here()
    assert run(experiment, tmp_path / "sweep", engine).finished
    # No round takes for its own what workers have left of an earlier one.
    assert len({job.attempt for job in engine.jobs}) == len(engine.jobs)
    on_workers = seen.copy()
    seen.clear()
    grokjax.run(experiment, tmp_path / "alone", lanes=2, progress=False)
    assert on_workers == seen and list(map(len, seen)) == [4, 5]
    assert_same_rows(tmp_path / "sweep", tmp_path / "alone")
    rounds = [grokjax.load(tmp_path / name).manifest["rounds"] for name in ("sweep", "alone")]
    assert rounds[0] == rounds[1]
