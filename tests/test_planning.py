"""What a start does once for all of its runs: planning is for hundreds of thousands of them."""

import gc
import io
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grokjax import MLP, AdamW, ConfigError, Experiment, ModularArithmetic, Transformer, grid
from grokjax.cluster import join
from grokjax.cluster.crew import Crew
from grokjax.cluster.engines import Ended
from grokjax.config import Cluster, experiment
from grokjax.engine import plan
from grokjax.results import manifest, schema, tables
from grokjax.results.store import Store


def counted(monkeypatch, module, name):
    """The calls of a function from now on."""
    calls, function = [], getattr(module, name)

    def wrapped(*args, **named):
        calls.append(args)
        return function(*args, **named)

    monkeypatch.setattr(module, name, wrapped)
    return calls


@pytest.fixture
def sweep():
    return Experiment(
        task=ModularArithmetic("add", p=7),
        sweep=grid(model=[MLP(width=8), Transformer(width=8, heads=2)], seed=range(30)),
    )


def test_runs_that_differ_in_their_seeds_are_checked_once(monkeypatch, sweep):
    checked = counted(monkeypatch, experiment, "check_experiment")
    runs = sweep.runs()
    assert len(runs) == 60
    assert len(checked) <= 4  # the base and each network
    for run in (runs[0], runs[29], runs[30], runs[-1]):
        alone = Experiment(task=run.task, model=run.model, seed=run.seed).resolved()
        assert (alone, alone.run_id) == (run, run.run_id)


def test_columns_are_looked_for_once_a_kind_of_run(monkeypatch, sweep):
    looked = counted(monkeypatch, schema, "leaf_types")
    columns = schema.runs_schema(sweep)
    assert {call[0].model for call in looked} == {run.model for run in sweep.runs()}
    assert len(looked) <= 4
    assert {"heads", "skip_connections"} <= {*columns.names}  # those of either kind


def test_a_program_is_traced_once_and_a_second_plan_asks_no_run_for_its_own(monkeypatch, sweep):
    traced = counted(monkeypatch, plan.donors, "trace")
    first = plan.make(sweep)
    assert len(traced) == len(first) == 2
    asked = counted(monkeypatch, plan, "spec_of")
    assert plan.make(sweep) == first
    assert not asked


def test_garbage_is_collected_again_after_planning():
    assert gc.isenabled()
    wrong = Experiment(sweep=grid(weight_decay=[0.1, -1.0]))
    with pytest.raises(ConfigError):
        wrong.runs()
    assert gc.isenabled()


def test_axes_stand_in_the_order_in_which_runs_have_them():
    mixed = Experiment(
        sweep=grid(optimizer=[AdamW(), AdamW(b2=0.9)], seed=[0, 1]) + grid(width=[64], seed=[5])
    )
    assert list(mixed.axes()) == ["model.width", "optimizer", "optimizer.b2", "seed"]
    assert mixed.axes()["seed"] == [0, 1, 5]
    assert list(manifest.describe(mixed, "x")["axes"]) == list(mixed.axes())


def test_a_commit_has_no_more_shards_and_rows_than_memory_holds():
    million = join.ROWS_AT_ONCE
    sizes = [10, million, 3 * million, 20, *[1] * (join.AT_ONCE + 1)]
    commits = join.in_commits(sizes, lambda size: size)
    assert list(itertools.chain(*commits)) == sizes
    assert commits[:3] == [[10], [million], [3 * million]]
    assert all(len(c) == 1 or sum(c) <= million for c in commits)
    assert max(map(len, commits)) == join.AT_ONCE


def test_rows_of_other_runs_in_a_shard_are_left_out():
    table = pa.table({"run_id": ["a", "b", "a"], "step": [0, 0, 10]})
    content = io.BytesIO()
    pq.write_table(table, content, write_page_checksum=True)
    for wanted, rows in ((["a", "b"], 3), (["a"], 2), (["c"], 0)):
        found = join._rows(content.getvalue(), pa.array(wanted, pa.string()))
        assert found.equals(table.filter(pa.array([i in wanted for i in ["a", "b", "a"]])))
        assert len(found) == rows


def test_parts_of_many_row_groups_become_one_with_the_same_rows(tmp_path):
    store = Store(tmp_path, -1, {}, {})
    store.recover()
    for tick in range(3):
        steps = list(range(100 * tick, 100 * tick + 100))
        metrics = {name: [0.5 * step for step in steps] for name in schema.METRICS}
        rows = pa.table({"run_id": ["a"] * 100, "step": steps, **metrics}, schema=schema.CURVES)
        record = store.write(tick, {"curves": rows})
        path = tmp_path / "curves" / f"{tick:08d}-{tick:08d}.parquet"
        pq.write_table(rows, path, row_group_size=7, write_page_checksum=True)
        record["curves"][path.name] = join.parts.described(path)
        store.install(record)
    store.install(store.merge())
    (part,) = (tmp_path / "curves").glob("*.parquet")
    assert tables.read(part, "curves")["step"].tolist() == list(range(300))


class Queue:
    """An engine that takes jobs and is told which have ended."""

    name = "queue"

    def __init__(self):
        self.ended, self.cancelled = [], []

    def capacity(self):
        return 5

    def submit(self, function, jobs):
        return [job.attempt for job in jobs]

    def wait(self, seconds):
        ended, self.ended = self.ended, []
        return ended

    def cancel(self, handles):
        self.cancelled += handles


def test_jobs_are_known_by_their_shards(tmp_path):
    engine = Queue()
    crew = Crew(engine, Cluster("inline"), "depot", iter("xyz"), tmp_path / "jobs.json")
    crew.submit(print, [("one", "1", b""), ("two", "2", b""), ("one", "3", b"")])
    assert [placed.attempt for placed in crew.at("one")] == ["1", "3"]
    assert (len(crew), crew.room(), crew.at("three")) == (3, 2, [])
    engine.ended = [Ended("1", None, lost=False), Ended("unknown", None, lost=False)]
    assert [(placed.shard, end.handle) for placed, end in crew.wait(0)] == [("one", "1")]
    crew.cancel(["one", "three"])
    assert (engine.cancelled, len(crew), crew.at("one")) == (["3"], 1, [])
    crew.cancel()
    assert (engine.cancelled, len(crew)) == (["3", "2"], 0)
