"""Curves as other programs leave them: `python tests/data/make.py`, with PyTorch, TensorBoard and wandb.

The numbers are a formula's and no training's: train accuracy rises at once, test accuracy along a
logistic at 300 / (decay · fraction³) updates, a fifth earlier or later by the seed. Event files are
written by PyTorch's own writer and the offline run by wandb's, so that their bytes are not ours.
"""

import json
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import wandb
from torch.utils.tensorboard import SummaryWriter

HERE = Path(__file__).parent
STEPS = np.unique(np.geomspace(1, 5000, 24).round().astype(int))
RUNS = [(wd, frac, seed) for wd in (0.1, 1.0) for frac in (0.4, 0.6) for seed in (0, 1)]


def curve(wd, frac, seed):
    """Step, train and test accuracy, train and test loss of one run."""
    t_grok = 300 / (wd * frac**3) * (0.8 + 0.4 * seed)
    for step in STEPS.tolist():
        rise = 1 / (1 + math.exp(-(step - t_grok) / (0.05 * t_grok)))
        train = min(1.0, 0.02 + step / 100)
        yield step, train, 0.02 + 0.97 * rise, 4 * math.exp(-step / 60), 8 * (1 - rise) + 0.01


def rounded(value):
    return float(f"{value:.5g}")


def weights_and_biases():
    """Two panels as the page downloads them, a column a run with its companions, and its table."""
    panels = {"train/acc": {}, "val/acc": {}}
    for number, (wd, frac, seed) in enumerate(RUNS):
        name = f"{('noble', 'eager', 'woven', 'misty')[number % 4]}-sun-{number + 1}"
        rows = list(curve(wd, frac, seed))
        for panel, at in (("train/acc", 1), ("val/acc", 2)):
            column = [rounded(row[at]) for row in rows]
            panels[panel][f"{name} - _step"] = STEPS
            panels[panel][f"{name} - {panel}"] = column
            panels[panel][f"{name} - {panel}__MIN"] = column
            panels[panel][f"{name} - {panel}__MAX"] = column
    folder = HERE / "wandb"
    folder.mkdir()
    for panel, columns in panels.items():
        table = pd.DataFrame({"Step": STEPS, **columns})
        table.to_csv(folder / f"panel_{panel.replace('/', '_')}.csv", index=False, quoting=1)
    names = [c.removesuffix(" - val/acc") for c in panels["val/acc"] if c.endswith("/acc")]
    pd.DataFrame(
        {
            "Name": names, "State": "finished", "Notes": "-", "User": "someone", "Tags": "",
            "Runtime": 61, "wd": [r[0] for r in RUNS], "frac_train": [r[1] for r in RUNS],
            "seed": [r[2] for r in RUNS], "lr": 0.001,
        }
    ).to_csv(folder / "runs.csv", index=False, quoting=1)  # fmt: skip


def tensorboard():
    """A folder a run, with hyperparameters as `add_hparams` writes them."""
    for number, (wd, frac, seed) in enumerate(RUNS):
        with SummaryWriter(HERE / "tensorboard" / f"run_{number}") as writer:
            for step, train, test, train_loss, _ in curve(wd, frac, seed):
                writer.add_scalar("Loss/train", train_loss, step)
                writer.add_scalar("Accuracy/train", 100 * train, step)
                writer.add_scalar("Accuracy/test", 100 * test, step, new_style=True)
            settings = {"wd": wd, "train_frac": frac, "seed": seed, "optim": "AdamW"}
            writer.add_hparams(settings, {}, run_name=".")
    for path in (HERE / "tensorboard").rglob("events*"):
        time, _, _, number = path.name.split(".")[3:]  # not the name of the machine
        path.rename(path.with_name(f"events.out.tfevents.{time}.host.{number}"))


def weights_and_biases_offline():
    """A run that was logged offline, train and test in calls of their own, by wandb itself."""
    quiet = {"console": "off", "silent": True, "save_code": False, "disable_git": True}
    nameless = {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
    with tempfile.TemporaryDirectory() as place:
        run = wandb.init(
            project="maps", name="brisk-lake-9", id="abcd1234", mode="offline", dir=place,
            config={"wd": 1.0, "frac": 0.4, "optimizer": {"lr": 1e-3}},
            settings=wandb.Settings(host="host", program="loop.py", **quiet, **nameless),
        )  # fmt: skip
        for step, train, test, _, _ in curve(1.0, 0.4, 0):
            run.log({"train/acc": train, "trainer/global_step": step})
            run.log({"val/acc": test, "trainer/global_step": step})
        run.finish()
        (file,) = Path(place).rglob("*.wandb")
        folder = HERE / "wandb_offline" / "offline-run-20260101_000000-abcd1234"
        folder.mkdir(parents=True)
        shutil.copyfile(file, folder / file.name)


def json_lines():
    """All runs in one file, a record a log point, test accuracy at every other one."""
    with (HERE / "loop.jsonl").open("w") as file:
        for wd, frac, seed in RUNS:
            for at, (step, train, test, _, loss) in enumerate(curve(wd, frac, seed)):
                record = {
                    "wd": wd,
                    "frac": frac,
                    "seed": seed,
                    "epoch": step,
                    "acc": rounded(train),
                }
                if at % 2 == 1:
                    record |= {"val": {"acc": rounded(test), "loss": rounded(loss)}}
                file.write(json.dumps(record) + "\n")


def text():
    """What a loop prints, of one run."""
    lines = ["using cuda:0, 12448 parameters"]
    for step, train, test, train_loss, test_loss in curve(1.0, 0.4, 0):
        lines.append(
            f"[12:00:01] Epoch {step}/5000 | train loss {train_loss:.4f}, acc {100 * train:.2f}% "
            f"| val loss {test_loss:.4f}, acc {100 * test:.2f}%"
        )
    (HERE / "loop.log").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for name in ("wandb", "wandb_offline", "tensorboard"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    for make in (weights_and_biases, weights_and_biases_offline, tensorboard, json_lines, text):
        make()
