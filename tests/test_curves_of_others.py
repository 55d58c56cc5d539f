"""Curves that other programs have left: read, mapped, drawn, and written again for others."""

import json
import re
import sys
import types
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import grokjax
from grokjax import ConfigError, phase, read_curves
from grokjax.exchange import event_files, names
from grokjax.exchange.read import default_folder, is_results
from grokjax.figures import style

DATA = Path(__file__).parent / "data"
RECORDED = Path(__file__).parents[1] / "results" / "recorded" / "quickstart"
STEPS = np.arange(0, 1000, 10)
TRAIN = np.minimum(1.0, STEPS / 100)
TEST = np.where(STEPS >= 600, 0.97, 0.1)
ROWS = list(zip(STEPS.tolist(), TRAIN.tolist(), TEST.tolist(), strict=True))
CURVE = {"epoch": STEPS, "train_acc": TRAIN, "val_acc": TEST}


def read(*sources, **options):
    return read_curves(*sources, quiet=True, **options)


def times(results):
    """t_mem and t_grok of each run."""
    runs = results.runs.set_index("run")
    return {n: (r["t_mem"], r["t_grok"]) for n, r in runs.iterrows()}


def refusal(*sources, **options):
    """What a refusal says: one sentence."""
    with pytest.raises(ConfigError) as refused:
        read(*sources, **options)
    said = str(refused.value)
    assert "\n" not in said and said[-1] in ".?" and len(said) < 400, said
    return said


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are made, and an empty file of each: pixels take most of the time."""

    def save(figure, folder, name):
        assert isinstance(figure, matplotlib.figure.Figure)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").touch()
        return [folder / f"{name}.png"]

    monkeypatch.setattr(style, "save", save)


@pytest.mark.drawn
@pytest.mark.parametrize("source", ["wandb", "tensorboard", "loop.jsonl"])
def test_curves_of_others_end_in_figures(source, tmp_path, quick_figures, capsys):
    out = tmp_path / "map"
    assert phase.main([str(DATA / source), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "2/2 1646" in said.out  # weight decay 1, fraction 0.6, both seeds
    assert "weight_decay ← wd" in said.err and "left out" not in said.err
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert {"phases", "p_grok", "t_grok", "grok_gap", "curves", "survival"} <= drawn
    assert "noble" in (out / "report.html").read_text() or source != "wandb"
    told = grokjax.load(out).manifest
    assert set(told["axes"]) >= {"weight_decay", "train_fraction", "seed"}
    assert "versions" not in told and told["curves_of"]["not_known"]


def test_the_command_names_its_folder_and_takes_a_log(monkeypatch, tmp_path, quick_figures, capsys):
    monkeypatch.chdir(tmp_path)
    log = DATA / "loop.log"
    assert phase.main([str(log), "--updates-per-epoch", "97", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["results"] == "results/loop" and told["grokked"] == 1
    (run,) = grokjax.load("results/loop").runs.to_dict("records")
    epochs = run["t_mem"] / 97, run["t_grok"] / 97
    assert epochs == (123, 5000)
    assert run["final_test_accuracy"] == pytest.approx(0.99, abs=0.01)


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("train_accuracy", "train_acc train/acc training_accuracy trainAcc Train-Acc acc/train"),
        ("test_accuracy", "val_acc test/acc Test.Acc valid_acc1 eval_accuracy acc_val val/top1"),
        ("test_loss", "val_loss loss/validation TestLoss eval/cross_entropy test_loss_epoch"),
        ("step", "step Step iteration global_step updates n_iter trainer/global_step"),
        ("epoch", "epoch Epochs ep"),
        ("weight_norm", "weight_norm param-norm l2_norm"),
        ("run", "run run_id Name trial exp_name"),
        ("ignored", "_runtime _timestamp time"),
        (None, "wd lr frac accord testing_ground loss_landscape train_acc_step"),
    ],
)
def test_names_of_the_field_are_recognised(role, words):
    assert {word: names.role(word) for word in words.split()} == dict.fromkeys(words.split(), role)


def test_hyperparameters_are_looked_up_where_words_of_other_tools_stand():
    ours = ["weight_decay", "learning_rate", "train_fraction", "seed", "p", "my_own"]
    told = ["wd", "optimizer.lr", "frac", "random_seed", "modulus", "my own"]
    assert [names.hyperparameter(word) for word in told] == ours


def lines(form):
    return "\n".join(form.format(e, a, b, 100 * a, 100 * b) for e, a, b in ROWS)


TEXTS = {
    "semicolons and commas.csv": "epoch;Train Acc;Test Acc\n" + lines("{};{};{}").replace(".", ","),
    "percent.csv": "epoch,train_acc,test_acc\n" + lines("{0},{3},{4}"),
    "signs.csv": "epoch,train_acc,test_acc\n" + lines("{0},{3:.1f}%,{4:.1f}%"),
    "tensors.csv": "epoch\ttrain_acc\ttest_acc\n" + lines("{}\ttensor({:.2f})\ttensor({:.2f}, device='cuda:0')"),
    "named once.log": "epoch train test\n" + lines("{} {} {}"),
    "savetxt.txt": "# step train_acc test_acc\n" + lines("{:e} {:e} {:e}"),
    "prose.log": "seed 3\n" + lines("2026-01-02 10:00:01,123 - INFO - Epoch [{}/990] train loss: 1.5 | train acc: {:.4f} (0.5s/it) | val acc {:.4f}"),
    "context.out": lines("step {}: train: loss 0.5 acc {} | test: loss 0.6 acc {}"),
    "three lines.log": lines("Epoch {}\n  train_loss=0.2, train_acc={}\n  test_loss=0.3, test_acc={}"),
    "records.jsonl": lines('{{"step": {}, "train": {{"acc": {}}}, "test": {{"acc": {}}}, "weight_norm": NaN}}') + '\n{"step": 10',
    "lists.json": json.dumps({"train": {"acc": TRAIN.tolist()}, "test": {"acc": TEST.tolist()}, "epochs": STEPS.tolist(), "config": {"wd": 1}}),
    "history.json": json.dumps({"args": {"wd": 1}, "log_history": [{"step": e, "accuracy": a, "eval_accuracy": b} for e, a, b in ROWS]}),
    "unsorted.csv": "iteration,acc,val_acc\n" + "\n".join(lines("{},{},{}").splitlines()[::-1]),
    "tidy.csv": "epoch,metric,value\n" + lines("{0},train_acc,{1}\n{0},val_acc,{2}"),
    "history of wandb.csv": "_step,epoch,train/acc,val/acc,_runtime\n" + lines("{0}1,{0},{1},,3\n{0}2,{0},,{2},3"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_one_run(name, tmp_path):
    (tmp_path / name).write_text(TEXTS[name])
    results = read(tmp_path / name)
    assert list(times(results).values()) == [(100, 600)]
    (run,) = results.runs.to_dict("records")
    assert (run["last_step"], run["steps"], run["stop_reason"]) == (990, 990, "budget")
    assert run["final_test_accuracy"] == pytest.approx(0.97)


def test_other_places_of_curves(tmp_path):
    np.savez(tmp_path / "a.npz", **CURVE)
    pd.DataFrame(CURVE).to_parquet(tmp_path / "b.parquet")
    frame = pd.DataFrame(CURVE).set_index("epoch")
    for source in (tmp_path / "a.npz", tmp_path / "b.parquet", frame, CURVE):
        assert list(times(read(source)).values()) == [(100, 600)]
    by_name = read({f"wd={wd},seed=3": frame for wd in (0.1, 1)})
    assert by_name.axes == {"weight_decay": [0.1, 1]}
    assert times(by_name)["wd=1,seed=3"] == (100, 600)


def test_an_offline_run_of_weights_and_biases(tmp_path):
    file = next((DATA / "wandb_offline").rglob("*.wandb"))
    results = read(DATA / "wandb_offline")
    (run,) = results.runs.to_dict("records")
    settings = run["run"], run["weight_decay"], run["train_fraction"], run["learning_rate"]
    assert settings == ("brisk-lake-9", 1.0, 0.4, 1e-3)
    assert (run["t_mem"], run["t_grok"]) == (123, 5000)
    # The same curve as in the log for people, to the digits that this one has.
    log = read(DATA / "loop.log").curves
    names = ["step", "train_accuracy", "test_accuracy"]
    np.testing.assert_allclose(results.curves[names], log[names], atol=1e-4)
    (tmp_path / "cut.wandb").write_bytes(file.read_bytes()[:2500])  # it is still being written
    assert 1 < len(read(tmp_path / "cut.wandb").curves) < len(results.curves)


def table(**columns):
    return pd.DataFrame({**CURVE, **columns})


def test_runs_are_told_apart_by_what_is_there(tmp_path):
    every = [(wd, seed) for wd in (0.1, 1.0) for seed in (0, 1)]
    # By settings, with a rate that varies within each run and a number that nobody knows.
    rate = np.linspace(1e-3, 0, len(STEPS))
    long = pd.concat([table(wd=wd, seed=seed, lr=wd * rate, circuits=TEST) for wd, seed in every])
    results = read(long.sample(frac=1, random_state=0))
    assert results.axes == {"weight_decay": [0.1, 1], "seed": [0, 1]}
    assert set(results.measures["part"]) == {"circuits", "lr"}
    assert set(times(results).values()) == {(100, 600)}
    # By file names, by folders with a configuration, by columns that have the run in their name.
    for wd, seed in every:
        table().to_csv(tmp_path / f"wd{wd}_s{seed}.csv", index=False)
        inside = tmp_path / "deeper" / f"version_{int(10 * wd) + seed}"
        inside.mkdir(parents=True)
        table().to_csv(inside / "metrics.csv", index=False)
        (inside / "hparams.yaml").write_text(f"weight_decay: {wd}\nseed: {seed}\nlr: 1e-3\n")
    files = sorted(tmp_path.glob("*.csv"))
    named = read(*files, pattern="wd{weight_decay}_s{seed}.csv")
    configured = read(tmp_path / "deeper")
    assert named.axes == configured.axes == results.axes
    assert set(configured.runs["learning_rate"]) == {1e-3}
    wide = pd.DataFrame({"step": STEPS, **{f"wd={wd}_seed={s}/val_acc": TEST for wd, s in every}})
    assert read(wide).axes == results.axes
    # By a table with a row a run, or by nothing but their names.
    settings = pd.DataFrame(
        {"wd": [w for w, _ in every], "seed": [s for _, s in every], "id": [f.stem for f in files]}
    )
    assert read(*files, runs=settings).axes == results.axes
    assert list(read(*files).axes) == ["run"]


def test_sources_of_one_name_are_several_runs(tmp_path):
    for name, grokked in (("a", 600), ("b", 300)):
        (tmp_path / name).mkdir()
        frame = table(val_acc=np.where(STEPS >= grokked, 0.97, 0.1))
        frame[STEPS % (30 if name == "a" else 20) == 0].to_csv(tmp_path / name / "metrics.csv")
    both = {"a": (120, 600), "b": (100, 300)}
    folders = [tmp_path / name for name in both]
    assert times(read(*folders)) == times(read(tmp_path)) == both
    assert times(read(*(folder / "metrics.csv" for folder in folders))) == both
    frames = [pd.read_csv(folder / "metrics.csv", index_col=0) for folder in folders]
    assert times(read(*frames)) == dict(zip("01", both.values(), strict=True))
    assert len(read({"x": frames[0]}, {"x": frames[1]}).runs) == 2
    assert list(times(read(tmp_path / "a"))) == ["metrics"]


def test_runs_of_a_tracker_that_have_one_name(tmp_path, monkeypatch):
    """Its ids tell them apart, by which a run that was resumed is one."""
    log = next((DATA / "wandb_offline").rglob("*.wandb")).read_bytes()
    for folder, run_id in (("first", "i1"), ("again", "i1"), ("other", "i2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"run-{run_id}.wandb").write_bytes(log)
    assert set(times(read(tmp_path))) == {"i1", "i2"}
    tracker = Tracker()
    for run_id, name in (("i1", "base"), ("i2", "base"), ("i3", "other")):
        run = tracker.init(id=run_id, name=name, config={})
        run.rows += table().to_dict("records")
        run.finish()
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    assert set(times(read("wandb:me/project"))) == {"base/i1", "base/i2", "other"}


def test_what_stands_beside_a_file_and_what_is_passed_over(tmp_path):
    table().to_csv(tmp_path / "curves.csv", index=False)
    (tmp_path / "config.json").write_text('{"wd": 0.3}')
    (tmp_path / "notes.log").write_text("epoch 1 val_acc 0.2\n" * 3)
    (tmp_path / "weights.pt").write_bytes(b"PK")
    (tmp_path / "best.json").write_text('{"best": 0.3}')
    alone = read(tmp_path / "curves.csv")
    assert list(alone.runs["weight_decay"]) == [0.3]
    told = read(tmp_path).manifest["curves_of"]["not_known"]
    for passed in ("notes.log", "weights.pt", "best.json"):
        assert sum(passed in sentence for sentence in told) == 1, passed


def test_commas_in_counts_are_of_thousands(tmp_path):
    rows = [f'"{100 * s:,}",{a},{b}' for s, a, b in ROWS]
    (tmp_path / "a.csv").write_text("\n".join(["step,train_acc,val_acc", *rows]))
    assert times(read(tmp_path / "a.csv")) == {"a": (10_000, 60_000)}


def test_histograms_and_images_are_no_numbers():
    more = {"histogram": [np.arange(3)] * len(STEPS), "image": [{"a": [1]}] * len(STEPS)}
    (run,) = read(table(**more)).runs.to_dict("records")
    assert (run["t_mem"], run["t_grok"]) == (100, 600) and "histogram" not in run
    rows = pd.DataFrame({"id": ["one"], "wd": [0.1], "tags": [["mine"]]})
    assert list(read({"one": table()}, runs=rows).runs["weight_decay"]) == [0.1]


def test_hyperparameters_that_pytorch_writes_into_a_folder_below(tmp_path):
    curves = {"acc/train": TRAIN, "acc/test": TEST}
    for wd in (0.1, 1.0):
        run = tmp_path / f"run{wd}"
        (run / "1700000.1").mkdir(parents=True)
        event_files.write(run / f"{event_files.MARK}.1.host", STEPS, curves, {})
        last, hparams = {"hparam/test_acc": [0.97]}, {"wd": wd, "seed": 1}
        event_files.write(run / "1700000.1" / f"{event_files.MARK}.2.host", [0], last, hparams)
    results = read(tmp_path)
    assert times(results) == {"run0.1": (100, 600), "run1.0": (100, 600)}
    assert results.axes == {"weight_decay": [0.1, 1]} and set(results.runs["seed"]) == {1}
    assert repr(results).endswith("2 runs, 2 grokked; weight_decay (2)>")
    assert read(tmp_path / "run0.1").runs["weight_decay"].tolist() == [0.1]


def test_runs_that_a_table_of_runs_lacks_are_told():
    named = {"a,seed=1": table(), "b,seed=2": table()}
    results = read(named, runs=pd.DataFrame({"id": ["a,seed=1"], "wd": [0.1]}))
    told = results.manifest["curves_of"]["not_known"]
    assert any("the settings of b,seed=2" in sentence for sentence in told)


def test_folders_of_curves_are_told_from_sweeps_and_from_each_other(tmp_path):
    for name in ("wd0.1", "wd0.5"):
        (tmp_path / name / "curves").mkdir(parents=True)
        table().to_csv(tmp_path / name / "curves" / "a.csv", index=False)
        assert not is_results(tmp_path / name)
        assert default_folder(tmp_path / name) == Path("results", name)
    assert default_folder(tmp_path / "wd0.1" / "curves" / "a.csv") == Path("results", "a")
    assert is_results(RECORDED)


def test_a_folder_of_curves_that_belong_together(tmp_path):
    """Panels of Weights & Biases, scalars that TensorBoard downloads, a file a split."""
    for split, values in (("train", TRAIN), ("validation", TEST)):
        run = tmp_path / "keras" / "first" / split
        run.mkdir(parents=True)
        event_files.write(run / f"{event_files.MARK}.1.host", STEPS, {"epoch_accuracy": values}, {})
    (tmp_path / "scalars").mkdir()
    for split, values in (("train", TRAIN), ("test", TEST)):
        scalar = pd.DataFrame({"Wall time": STEPS, "Step": STEPS, "Value": values})
        scalar.to_csv(tmp_path / "scalars" / f"run-first-tag-acc_{split}.csv", index=False)
    (tmp_path / "splits" / "first").mkdir(parents=True)
    for split, values in (("train", TRAIN), ("val", TEST)):
        halves = pd.DataFrame({"step": STEPS, "loss": 1 - values, "acc": values})
        halves.to_csv(tmp_path / "splits" / "first" / f"{split}.csv", index=False)
    for folder in ("keras", "scalars", "splits"):
        assert times(read(tmp_path / folder)) == {"first": (100, 600)}, folder


def test_values_that_were_logged_at_steps_of_their_own():
    """Times are log points of the value itself, and widths know nothing between them."""
    every_ten, every_hundred = STEPS % 20 == 10, STEPS % 100 == 0
    rows = [
        {"step": s, "train_acc": v} for s, v in zip(STEPS[every_ten], TRAIN[every_ten], strict=True)
    ]
    rows += [
        {"step": s, "val_acc": v}
        for s, v in zip(STEPS[every_hundred], TEST[every_hundred], strict=True)
    ]
    rows.append({"step": 995, "train_acc": 1.0, "train_loss": 0.1})
    rows[-2]["val_loss"] = 0.2
    (run,) = read(pd.DataFrame(rows)).runs.to_dict("records")
    alone = read(
        {
            "step": STEPS[every_hundred],
            "val_acc": TEST[every_hundred],
            "train_acc": TRAIN[every_hundred],
        }
    )
    (apart,) = alone.runs.to_dict("records")
    assert (run["t_mem"], run["t_grok"], run["last_step"], run["log_every"]) == (110, 600, 900, 100)
    for name in ("t_grok_interpolated", "transition_width", "slope_at_t_grok", "max_test_accuracy"):
        assert run[name] == pytest.approx(apart[name]), name
    assert run["phase"] == apart["phase"] == "comprehension"
    assert run["final_train_accuracy"] == 1.0 and run["final_test_accuracy"] == pytest.approx(0.97)
    assert (run["final_train_loss"], run["final_test_loss"]) == (0.1, 0.2)


def test_what_is_not_known_is_missing(tmp_path, quick_figures):
    grid = [(wd, frac) for wd in (0.1, 1) for frac in (0.3, 0.5)]
    long = pd.concat(
        [pd.DataFrame({"epoch": STEPS, "test_acc": TEST, "wd": w, "frac": f}) for w, f in grid]
    )
    results = read(long, out=tmp_path / "map")
    runs = results.runs
    assert runs["t_mem"].isna().all() and runs["phase"].isna().all() and runs["early"].isna().all()
    assert (runs["t_grok"] == 600).all() and runs["chance"].isna().all()
    told = results.manifest["curves_of"]["not_known"]
    assert any("t_mem" in sentence for sentence in told)
    assert any("weight_norm" in sentence for sentence in told)
    assert phase.show(results)
    drawn = {path.stem for path in (tmp_path / "map" / "figures").glob("*.png")}
    assert {"p_grok", "t_grok", "curves"} <= drawn
    assert not {"phases", "grok_gap", "trajectories"} & drawn
    assert read(long, chance=0.2).runs["early"].notna().all()
    assert read(long.assign(p=97)).runs["chance"].iloc[0] == pytest.approx(1 / 97)


def test_how_runs_ended():
    loss = [str(value) for value in np.where(STEPS > 300, np.nan, 0.5)]
    named = {
        "whole": table(),
        "stopped when it had grokked": table()[STEPS <= 700],
        "stopped early": table()[STEPS <= 400],
        "diverged": table(train_loss=loss, val_acc=0.1)[STEPS <= 500],
    }
    results = read(named)
    runs = results.runs.set_index("run")[["status", "stop_reason", "last_step", "steps"]]
    assert runs.T.to_dict("list") == {
        "whole": ["done", "budget", 990, 990],
        "stopped when it had grokked": ["done", "settled", 700, 990],
        "stopped early": ["done", "budget", 400, 400],
        "diverged": ["diverged", "diverged", 500, 990],
    }
    assert any("400 of 990" in told for told in results.manifest["curves_of"]["not_known"])


def test_a_run_that_was_started_again_counts_once():
    again = pd.concat([table()[STEPS < 500], table(val_acc=0.99)[STEPS >= 400]])
    results = read(again)
    assert list(results.runs["t_grok"]) == [400]
    assert any("10 rows" in told for told in results.manifest["curves_of"]["not_known"])


REFUSED = {
    "no test accuracy was recognised among epoch, val_loss": ({"epoch": STEPS, "val_loss": TEST}, {}),
    "test_accuracy=acc or train_accuracy=acc": ({"epoch": STEPS, "acc": TEST}, {}),
    "val_acc and test_acc may be meant by test_accuracy": (table(test_acc=0.5), {}),
    "columns, test_accuracy: there is no column 'val_ac', did you mean 'val_acc'": (CURVE, {"columns": {"test_acc": "val_ac"}}),
    "train falls, as a loss does": ({"epoch": STEPS, "train": 1 - TRAIN, "test": 1 - TEST}, {}),
    "no column counts updates or epochs": ({"train_acc": TRAIN, "val_acc": TEST}, {}),
    "epochs are fractions, say how many updates one has": (table(epoch=STEPS / 97), {}),
    "several runs seem to be in it": (pd.concat([table(), table()]), {}),
    "say with --accuracies percent or share": (table(train_acc=100 * TRAIN), {}),
    "has 350 in it, which is no accuracy": (table(train_acc=100 * TRAIN, val_acc=350 * TEST / 0.97), {}),
    "'soon' in it is no number": (table(val_acc=["soon", *TEST[1:]]), {}),
    "name what it reads in braces": (CURVE, {"pattern": "wd_s"}),
    "run is not of this kind": ({"run": CURVE}, {"pattern": "wd{weight_decay}"}),
    "no column has the names of the runs": ({"a": CURVE}, {"runs": pd.DataFrame({"id": ["b"], "wd": [1]})}),
    "'a' is there twice in id": ({"a": CURVE}, {"runs": pd.DataFrame({"id": ["a", "a"], "wd": [1, 2]})}),
    "there is no such file or folder": (Path("nowhere.csv"), {}),
    "chance=100": (CURVE, {"chance": 100}),
    "it is a results folder already": (RECORDED, {}),
    "needs the package of Weights & Biases": ("wandb:me/project", {}),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_may_mean_several_things_is_refused_with_a_remedy(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    source, options = REFUSED[said]
    assert said in refusal(source, **options)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.csv", "", "it is empty"),
        ("names.csv", "epoch,val_acc\n", "no rows in it"),
        ("table.xlsx", "PK\0\0", "it is no text"),
        ("run.pt", "PK", "a pickle can run code"),
        ("words.log", "hello\nthere\n", "no test accuracy was recognised"),
        ("list.json", '{"train_acc": [1, 2], "val_acc": [1]}', "lists have different lengths"),
        ("half.json", '{"train_acc": [1, 2', "not JSON"),
        ("run-1.wandb", "not a log", "does not begin as a file of Weights & Biases"),
        ("events.out.tfevents.1.host", "no events are in it at all", "no record of TensorBoard's"),
    ],
)
def test_a_file_that_is_none_is_refused(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    assert said in refusal(tmp_path / name)


def test_what_a_command_line_says_of_curves(tmp_path, quick_figures, capsys):
    file = tmp_path / "curves.csv"
    pd.DataFrame({"e": STEPS, "validation score": TEST, "acc": TRAIN}).to_csv(file, index=False)
    out = ["--out", str(tmp_path / "map")]
    assert phase.main([str(file), *out]) == 2
    told = ["--columns", "epoch=e", "test_accuracy=validation score"]
    assert phase.main([str(file), *out, *told]) == 0
    assert "test_accuracy ← validation score" in capsys.readouterr().err
    assert phase.main([str(file), *out, "--columns", "epoch"]) == 2
    assert "write OURS=THEIRS" in capsys.readouterr().err
    assert phase.main([str(RECORDED), *out, "--chance", "0.1"]) == 2
    assert "for curves of other programs" in capsys.readouterr().err
    assert phase.main([str(RECORDED), str(file), *out]) == 2
    assert "one by one" in capsys.readouterr().err
    assert phase.main([str(tmp_path / "curvs.csv"), *out]) == 2
    assert "no such file" in capsys.readouterr().err
    assert phase.main([str(tmp_path / "nothing"), *out]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_nothing_is_made_up_of_runs_that_we_did_not_train():
    results = read(CURVE)
    run_id = results.runs["run_id"].item()
    with pytest.raises(ConfigError, match="another program trained it"):
        results.split(run_id)
    with pytest.raises(ConfigError, match="has no snapshot"):
        results.network(run_id)


def test_a_folder_is_replaced_by_the_same_curves_only(tmp_path):
    first, other = tmp_path / "a.csv", tmp_path / "b.csv"
    for file in (first, other):
        table().to_csv(file, index=False)
    out = tmp_path / "map"
    ids = list(read(first, out=out).runs["run_id"])
    assert list(read(first, out=out).runs["run_id"]) == ids
    assert len(read(first, other, out=out).runs) == 2
    assert "holds the curves of" in refusal(first, out=out)
    assert "other files" in refusal(first, out=tmp_path)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_bytes((RECORDED / "sweep.json").read_bytes())
    assert "holds a sweep" in refusal(first, out=tmp_path / "sweep")
    assert "a file" in refusal(first, out=other)


def test_nothing_of_the_user_is_removed(tmp_path):
    """Logs may lie in a folder that is called as one of ours is, as TensorBoard's do."""
    project = tmp_path / "project"
    (project / "runs").mkdir(parents=True)
    (project / "figures").mkdir()
    table().to_csv(project / "runs" / "a.csv", index=False)
    before = sorted(project.rglob("*"))
    assert "other files" in refusal(project / "runs", out=project)
    assert "in each other" in refusal(project, out=project / "map")
    assert "in each other" in refusal(project / "runs", out=project / "runs" / "map")
    assert sorted(project.rglob("*")) == before
    # A reading that was interrupted may be done again.
    out = tmp_path / "map"
    out.mkdir()
    whole = read(project / "runs", out=out).manifest
    (out / "sweep.json").write_text(json.dumps({k: v for k, v in whole.items() if k != "parts"}))
    assert read(project / "runs", out=out).manifest["parts"] == whole["parts"]


def agree(one, other, rtol=1e-12):
    """Whether two results say the same of the same runs."""
    ours, theirs = (r.runs.set_index("run_id").sort_index() for r in (one, other))
    assert list(ours.index) == list(theirs.index)
    assert set(ours) <= set(theirs)
    for name in ours:
        a, b = ours[name], theirs[name]
        assert (a.isna() == b.isna()).all(), name
        if pd.api.types.is_numeric_dtype(a):
            a, b = (c.dropna().to_numpy(float) for c in (a, b))
            np.testing.assert_allclose(b, a, rtol, 1e-7 if rtol > 1e-9 else 0, err_msg=name)
        else:
            assert (a.dropna() == b.dropna()).all(), name
    keys = ["run_id", "step"]
    a, b = (r.curves.sort_values(keys).reset_index(drop=True) for r in (one, other))
    assert (a[keys] == b[keys]).all(axis=None)
    np.testing.assert_allclose(b[list(a)[2:]], a[list(a)[2:]], rtol, 1e-7 if rtol > 1e-9 else 0)


@pytest.fixture(scope="module")
def recorded():
    """Six runs of a recorded sweep."""
    results = grokjax.load(RECORDED)
    runs = results.runs[(results.runs["seed"] == 0) & (results.runs["train_fraction"] != 0.5)]
    vars(results)["runs"] = runs.reset_index(drop=True)
    vars(results)["curves"] = results.curves[results.curves["run_id"].isin(runs["run_id"])]
    return results


def test_csv_comes_back(recorded, tmp_path):
    assert [path.name for path in recorded.to_csv(tmp_path / "csv")] == ["runs.csv", "curves.csv"]
    agree(recorded, read(tmp_path / "csv", thresholds=recorded.thresholds))
    with pytest.raises(ConfigError, match="new folder"):
        recorded.to_csv(tmp_path / "csv")


def test_measures_come_back(tmp_path):
    first = read(table(circuits=TEST, run="one"))
    first.to_csv(tmp_path / "csv")
    again = read(tmp_path / "csv")
    agree(first, again)
    pd.testing.assert_frame_equal(again.measures, first.measures, check_dtype=False)


def test_tensorboard_comes_back(recorded, tmp_path):
    paths = recorded.to_tensorboard(tmp_path / "tb")
    assert len(paths) == len(recorded.runs)
    assert paths[0].parent.name == "weight_decay=0.2,train_fraction=0.4,seed=0"
    agree(recorded, read(tmp_path / "tb", thresholds=recorded.thresholds), rtol=1e-6)


def test_records_have_the_checksum_of_castagnoli():
    crc = 0xE3069283  # of the digits 1 to 9, as RFC 3720's polynomial gives it
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert event_files._masked(b"123456789") == masked


def test_arrays_come_back(recorded):
    arrays = recorded.to_xarray()
    assert dict(arrays.sizes) == {"weight_decay": 3, "train_fraction": 2, "step": 251}
    run = recorded.runs.iloc[4]
    at = {name: run[name] for name in ("weight_decay", "train_fraction")}
    assert arrays["t_mem"].sel(at) == run["t_mem"]
    curve = recorded.curves_of(run["run_id"])
    there = arrays["test_accuracy"].sel(at).dropna("step")
    assert there.values.tolist() == curve["test_accuracy"].tolist()
    agree(recorded, read(arrays, thresholds=recorded.thresholds))
    assert dict(recorded.to_xarray([]).sizes) == {"run_id": 6, "step": 251}
    with pytest.raises(ConfigError, match="several runs have the same values"):
        recorded.to_xarray(["weight_decay"])


class Tracker(types.ModuleType):
    """As much of the package wandb as is used."""

    Error = RuntimeError

    def __init__(self):
        super().__init__("wandb")
        self.kept = []

    def init(self, **told):
        run = types.SimpleNamespace(rows=[], summary={}, **told)
        run.log = lambda values, step: run.rows.append({"_step": step, "_runtime": 0.1, **values})
        run.define_metric = lambda name, step_metric: None
        run.finish = lambda: self.kept.append(run)
        run.scan_history = lambda: iter(run.rows)
        return run

    def Api(self):  # noqa: N802 - as it is called there
        return types.SimpleNamespace(runs=lambda path: self.kept, run=lambda path: self.kept[0])


def test_weights_and_biases_come_back(recorded, monkeypatch):
    tracker = Tracker()
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    recorded.to_wandb("maps", mode="offline", tags=["mine"])
    run = tracker.kept[0]
    assert (run.project, run.mode, run.group, run.tags) == (
        "maps",
        "offline",
        "quickstart",
        ["mine"],
    )
    assert run.name == "weight_decay=0.2,train_fraction=0.4,seed=0"
    assert run.summary["t_mem"] == recorded.runs["t_mem"][0]
    agree(recorded, read("wandb:me/maps", thresholds=recorded.thresholds))
    assert len(read("wandb:me/maps/one", thresholds=recorded.thresholds).runs) == 1


def test_trackers_that_are_not_there_are_named(recorded, monkeypatch):
    for name in ("wandb", "xarray"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        recorded.to_wandb("maps")
    with pytest.raises(ConfigError, match="pip install xarray"):
        recorded.to_xarray()


def test_the_page_of_the_docs_names_what_there_is():
    page = (DATA.parents[1] / "docs" / "curves-of-others.md").read_text(encoding="utf-8")
    for option in re.findall(r"(?<!-)--([a-z][a-z-]+)", page):
        assert option.replace("-", "_") in {*phase.CURVES_OPTIONS, "x", "y", "out", "logdir"}, (
            option
        )
