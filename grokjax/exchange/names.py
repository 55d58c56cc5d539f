"""What the columns of other programs are called here: one recorded table of synonyms.

A metric is a word for the split and one for the quantity, in any order and spelling: `val_acc`,
`acc/val`, `Test Accuracy`, `trainAcc`. Hyperparameters are looked up in `config.synonyms`, where
the words of other tools for our fields stand.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from grokjax.config.synonyms import translated
from grokjax.results.schema import METRICS

SPLITS = {
    "train": "train training trained trn tr",
    "test": "test testing te val valid validation eval evaluation dev heldout holdout",
}
QUANTITIES = {
    "accuracy": "acc accuracy accuracies acc1 top1 top1acc acctop1 top1accuracy",
    "loss": "loss losses ce nll xent celoss crossentropy crossentropyloss mse mseloss",
}
FILLERS = (
    "epoch", "mean", "avg", "average", "total", "full", "metrics", "metric", "log", "logs",
    "results", "stats", "set", "data", "split", "on", "of", "the", "sparse", "categorical",
)  # fmt: skip
"""Words in the name of a metric that say nothing of which one it is."""
OTHERS = {
    "step": "step steps globalstep trainerglobalstep trainglobalstep trainstep trainingstep "
    "iteration iterations iter iters it niter update updates nupdates numupdates numsteps "
    "optimizerstep optimizersteps optstep gradientstep gradsteps",
    "epoch": "epoch epochs ep nepoch epochnum currentepoch trainepoch epochtrain",
    "run": "run runid runname runuuid name id exp experiment expname experimentname trial "
    "trialid trialname job jobid modelid configid",
    "weight_norm": "weightnorm weightsnorm paramnorm paramsnorm parameternorm l2norm wnorm",
    "grad_norm": "gradnorm gradientnorm gnorm",
    "update_norm": "updatenorm",
    "train_accuracy_true": "trainaccuracytrue",
    "updates_per_epoch": "updatesperepoch stepsperepoch batchesperepoch iterationsperepoch "
    "itersperepoch numbatches",
    "classes": "classes nclasses numclasses outputsize noutputs",
    "ignored": "runtime timestamp wandb wandbversion time walltime date datetime elapsed seconds "
    "user created notes tags state sweep unnamed0 index hpmetric createdat updatedat relativetime "
    "relativetimeprocess relativetimewall",
}
"""Our name → words for it, without capitals and signs."""
PLUGIN = "hparam/"
"""Beginning of the tags that TensorBoard keeps for what its table of hyperparameters shows."""
COUNTERS = ("_step",)
"""Columns that number the calls of a logger: the last choice for a step."""
FIXED = ("step", "epoch", "run", *METRICS, "updates_per_epoch", "classes", "instrument", "part")
"""What a column can be, beside a hyperparameter."""


def plain(name: str) -> str:
    """A name without capitals, spaces and signs."""
    return "".join(c for c in name.lower() if c.isalnum())


def _composed() -> dict[str, tuple[str, str]]:
    found = {}
    for split, splits in SPLITS.items():
        for quantity, quantities in QUANTITIES.items():
            for one in splits.split():
                for other in quantities.split():
                    found[one + other] = found[other + one] = (split, quantity)
    return found


_SPLITS = {word: split for split, words in SPLITS.items() for word in words.split()}
_QUANTITIES = {word: quantity for quantity, words in QUANTITIES.items() for word in words.split()}
_COMPOSED = _composed()
_OTHERS = {word: ours for ours, words in OTHERS.items() for word in words.split()}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a name says of a metric, the two halves of which may stand in different places."""

    split: str | None
    quantity: str | None

    @property
    def name(self) -> str | None:
        """Ours, where both halves are known."""
        return f"{self.split}_{self.quantity}" if self.split and self.quantity else None


@functools.lru_cache(maxsize=4096)
def metric(name: str) -> Metric | None:
    """The metric that a name means, whole or a half of it; None where it means none.

    >>> metric("Val Acc").name, metric("accuracy/train").name, metric("acc").quantity
    ('test_accuracy', 'train_accuracy', 'accuracy')
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    joined = "".join(word for word in words if word not in FILLERS)
    if joined in _COMPOSED:
        return Metric(*_COMPOSED[joined])
    if joined in _SPLITS:
        return Metric(_SPLITS[joined], None)
    if joined in _QUANTITIES:
        return Metric(None, _QUANTITIES[joined])
    return None


@functools.lru_cache(maxsize=4096)
def role(name: str) -> str | None:
    """What a column is by its name, one of `FIXED` or `ignored`; None where that is not said.

    >>> [role(name) for name in ("val/acc", "iteration", "Epoch", "grad_norm", "wd")]
    ['test_accuracy', 'step', 'epoch', 'grad_norm', None]
    """
    word = plain(name)
    if name in COUNTERS:
        return "counter"
    if name.startswith(PLUGIN):
        return "ignored"
    if word in _OTHERS:
        return _OTHERS[word]
    if name in ("instrument", "part"):
        return name
    found = metric(name)
    return found.name if found else None


def hyperparameter(name: str) -> str:
    """Our name of a hyperparameter, or the given one as the column of a table may be called.

    >>> hyperparameter("wd"), hyperparameter("frac_train"), hyperparameter("my setting")
    ('weight_decay', 'train_fraction', 'my_setting')
    """
    ours = translated(name)
    return ours or re.sub(r"\W+", "_", name).strip("_") or "_"
