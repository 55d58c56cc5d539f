"""Makes `run_ids.json`: `PYTHONPATH=tests python -m golden.run_ids`.

It is made anew only where words or experiments were added, and then nothing in it may change but
what was added.
"""

import json
from pathlib import Path

from vocabulary import WORDS

from grokjax import experiment_file
from grokjax.config import source
from grokjax.config.fields import parts
from grokjax.config.identity import digest

FILE = Path(__file__).with_suffix(".json")
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def has_an_experiment(path):
    """Whether a file is one of one experiment: others read results, and claims have several."""
    reading = ("tour", "paper_figure", "zone_surface", "verdicts")
    return path.stem not in reading and path.parent.name != "atlas"


def own(experiment):
    """Whether it has words from elsewhere, whose ids go with their source."""
    return any(source.checksum(type(part)) for part in parts(experiment).values())


def ids():
    """Ids of every word's run, and of the runs of every experiment file: how many, first, last, all."""
    words = {
        name: run.run_id for name, run in WORDS.items() if not own(run) and "mnist" not in name
    }
    experiments = {}
    for path in sorted(EXPERIMENTS.rglob("*.py")):
        if not has_an_experiment(path):
            continue
        experiment = experiment_file.read(path)[0]
        if not own(experiment):
            found = list(experiment.expansion.runs)
            name = str(path.relative_to(EXPERIMENTS).with_suffix(""))
            experiments[name] = [len(found), found[0], found[-1], digest({"ids": found})]
    return {"words": words, "experiments": experiments}


if __name__ == "__main__":
    FILE.write_text(json.dumps(ids(), indent=1) + "\n")
