"""Names that grokjax does not have: which of its own is meant, in one sentence.

Every tool has its own word for a learning rate. The words of others stand here once, and whoever
refuses a name (constructors, axes, flags, columns) says it with `explain`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Sequence

OTHER_WORDS: dict[str, str] = {
    "learning_rate": "lr eta step_size base_lr max_lr peak_lr init_lr",
    "weight_decay": "wd decay l2 l2_reg l2_penalty weight_penalty",
    "b1": "beta1 adam_beta1 beta_1",
    "b2": "beta2 adam_beta2 beta_2",
    "eps": "epsilon adam_eps adam_epsilon",
    "momentum": "beta mom",
    "warmup_steps": "warmup num_warmup_steps warmup_iters lr_warmup",
    "schedule": "scheduler lr_schedule lr_scheduler lr_decay",
    "width": "d_model dim embed_dim emb_dim n_embd d_embed embedding_dim model_dim",
    "width mlp_width": "hidden hidden_size hidden_dim d_hidden d_hid",
    "mlp_width": "d_mlp d_ff ff_dim ffn_dim mlp_dim intermediate_size n_hidden num_hidden "
    "hidden_units hidden_width dim_feedforward",
    "layers": "n_layers num_layers n_layer depth n_blocks num_blocks num_hidden_layers "
    "n_hidden_layers",
    "heads": "n_heads num_heads n_head nhead num_attention_heads attention_heads",
    "head_width": "d_head head_dim head_size",
    "activation": "act act_fn act_type activation_fn nonlinearity",
    "norm": "layer_norm ln use_ln normalization norm_type ln_type norm_first pre_norm",
    "norm_kind": "ln_fn norm_layer norm_class",
    "norm_epsilon": "layer_norm_eps norm_eps layer_norm_epsilon rms_norm_eps",
    "qk_norm": "qk_layernorm use_qk_norm query_key_norm",
    "final_norm": "final_ln ln_f",
    "positions": "pos_enc pos_emb positional_encoding position_embedding",
    "rotary_base": "rope_base rope_theta rotary_theta",
    "embed_scale": "embedding_scale emb_scale embedding_multiplier scale_embeddings",
    "gated": "glu swiglu geglu use_glu gated_mlp",
    "skip_connections": "residual skip use_residual residual_connections",
    "biases": "bias use_bias",
    "tied": "tie_weights tie_embeddings tie_word_embeddings weight_tying",
    "dropout": "dropout_rate dropout_p dropout_prob p_dropout resid_pdrop",
    "init": "initializer weight_init kernel_init init_type init_method",
    "embed_init": "embedding_init emb_init",
    "dropout_places": "attn_dropout attention_dropout attn_pdrop embd_pdrop hidden_dropout",
    "init_scale": "init_std weight_scale init_multiplier",
    "output_scale": "temperature logit_scale",
    "p": "mod modulus prime",
    "op": "operation operator fn fn_name binary_op",
    "train_fraction": "frac_train train_frac train_ratio train_split train_pct train_percent "
    "train_size training_fraction data_fraction split_ratio fraction frac",
    "batch_size": "batch bs minibatch minibatch_size train_batch_size",
    "max_norm": "clip grad_clip gradient_clip gradient_clipping clip_norm clip_grad clip_grad_norm "
    "max_grad_norm gradient_clip_val grad_norm_clip",
    "schedule_factor": "gamma lr_gamma decay_rate lr_decay_factor",
    "batches": "drop_last last_batch replacement with_replacement sampling shuffle sampler",
    "steps": "n_steps num_steps max_steps total_steps train_steps iterations iters max_iters "
    "n_iters updates n_updates epochs n_epochs num_epochs max_epochs n_epoch budget",
    "log_every": "log_freq log_interval log_steps eval_every eval_freq eval_interval eval_steps",
    "settle_steps": "patience early_stop early_stopping",
    "seed": "random_seed random_state manual_seed rng rng_seed",
    "split_seed": "data_seed",
    "label_noise": "noise noise_level corruption",
    "task": "dataset data problem",
    "model": "net network arch architecture",
    "optimizer": "opt optim",
    "loss": "loss_fn loss_function criterion objective",
    "dtype": "precision float_type",
    "instruments": "callbacks hooks probes",
    "snapshots": "checkpoints checkpoint_every save_every save_freq",
    "at": "steps every",
    "t_grok": "t_grokking grok_step grok_time grokking_time grokking_step",
    "t_mem": "t_memorization t_memorisation mem_step mem_time",
    "grok_gap": "gap delay grok_delay grokking_delay",
    "t_grok_sustained": "sustained",
    "final_test_accuracy": "test_acc val_acc test_accuracy val_accuracy",
    "final_train_accuracy": "train_acc train_accuracy",
    "final_test_loss": "val_loss test_loss",
    "final_train_loss": "train_loss",
}
"""Our name, or the two that may be meant → words for it in other tools and in papers."""
TOGETHER = {
    "b1 b2": "betas adam_betas",
    "layers mlp_width": "hidden_sizes hidden_layer_sizes hidden_layers layer_sizes hidden_dims",
}
"""Names that only together say what one word of another tool says."""
REMARKS = {
    "epoch": "without batch_size every update is an epoch",
}
"""Part of a word → what else there is to know, which is said in brackets."""
ELSEWHERE = {
    "device gpu cuda cpu use_gpu use_cuda accelerator platform devices": "grokjax trains on the "
    "devices that JAX sees, choose them in the environment, as in JAX_PLATFORMS=cpu",
    "verbose progress": "how much is printed is said where a sweep is run, --quiet or --json",
    "out output_dir save_dir": "where results go is said where a sweep is run, --out FOLDER or "
    "grokjax.run(experiment, FOLDER)",
}
"""Words that are no field anywhere → the remedy."""
A_LETTER = 0.88
"""Likeness of names of which one has a letter more: `step` and `steps`, `seeds` and `seed`."""
MOST_NAMES = 8
"""As many names are read in a sentence."""


@dataclasses.dataclass(frozen=True)
class Known:
    """A name that can be written."""

    shown: str
    """As it is written: `learning_rate`, `--optimizer.learning-rate`, a column."""
    owner: str
    """What it is a field of, "the optimiser" say."""
    kind: str = "field"
    example: str = ""
    """How to write it, where that is not plain: `optimizer=AdamW(learning_rate=0.1)`."""
    absent: bool = False
    """Whether nothing here has it, so that it is no use to be told to write it."""


def _plain(name: str) -> str:
    """A name as those compare who do not mind capitals, hyphens and the part before a dot."""
    return "".join(c for c in name.rsplit(".", 1)[-1].lower() if c.isalnum() or c in "+*")


def _read(table: dict[str, str]) -> dict[str, list[str]]:
    """Plain word of another tool → our names."""
    words: dict[str, list[str]] = {}
    for ours, others in table.items():
        for word in others.split():
            words.setdefault(_plain(word), []).extend(map(_plain, ours.split()))
    return words


_OTHER, _TOGETHER = _read(OTHER_WORDS), _read(TOGETHER)
_ELSEWHERE = {_plain(word): text for words, text in ELSEWHERE.items() for word in words.split()}


def explain(name: str, *tiers: Sequence[Known], whole: str = "") -> str:
    """The sentence about a name that is none of those that can be written here.

    >>> fields = [Known("learning_rate", "the optimiser"), Known("steps", "the experiment")]
    >>> explain("lr", fields)
    'lr: did you mean learning_rate, a field of the optimiser?'

    Args:
      name: as it was written.
      tiers: what can be written here, then what is called like that elsewhere.
      whole: where all names are listed, said when none is near.
    """
    for tier in tiers:
        if meant := _meant(name, tier):
            # A letter too few of a name of these is a likelier slip than the field of another part.
            near = [] if tier is tiers[0] else _near(name, tiers[0], A_LETTER)
            return _sentence(name, near, meant[0]) if near else _sentence(name, meant)
    if _plain(name) in _ELSEWHERE:
        return f"{name}: {_ELSEWHERE[_plain(name)]}."
    for tier, likeness in zip(tiers, (0.7, 0.8), strict=False):
        if near := _near(name, tier, likeness):
            return _sentence(name, near)
    names = list(dict.fromkeys(known.shown for known in tiers[0]))
    listed = " are" if len(names) <= MOST_NAMES else " nearest are"
    if len(names) > MOST_NAMES:
        names = sorted(names, key=lambda known: -_likeness(name, known))[:MOST_NAMES]
    kind = tiers[0][0].kind if tiers[0] else "field"
    there = f"the {kind}s{listed} {', '.join(names)}" if names else "there are none"
    return f"{name}: there is no such {kind}, {there}{f'; {whole}' if whole else ''}."


@functools.lru_cache(maxsize=4096)  # a table of curves asks for every run
def translated(name: str) -> str | None:
    """Our one name for a hyperparameter of another tool; None where there is none, or are several.

    >>> translated("wd"), translated("n_layers"), translated("hidden_dim")
    ('weight_decay', 'layers', None)
    """
    word = _plain(name)
    meant = [ours for ours in OTHER_WORDS if _plain(ours) == word]
    meant += [ours for ours, words in OTHER_WORDS.items() if word in map(_plain, words.split())]
    return meant[0] if meant and " " not in meant[0] else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean 'width'?`, or the names that there are, the most alike ones where many."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    alike = sorted(names, key=lambda known: -_likeness(name, known))
    few = names if len(names) <= 2 * MOST_NAMES else alike[:MOST_NAMES]
    return f"choose from {', '.join(few)}{', …' if len(few) < len(names) else '.'}"


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, _plain(one), _plain(other)).ratio()


def article(noun: str) -> str:
    """The noun with the article before it: a task, an optimiser."""
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"


def same(one: str, other: str) -> bool:
    """Whether two names differ in capitals, hyphens and the like only."""
    return _plain(one) == _plain(other)


def _meant(name: str, tier: Sequence[Known]) -> list[Known]:
    """Those that are the name spelt otherwise, or what another tool's word stands for."""
    word = _plain(name)
    ours = [[word], _TOGETHER.get(word, []), _OTHER.get(word, [])]
    by_word: dict[str, list[Known]] = {}
    for known in tier:
        by_word.setdefault(_plain(known.shown), []).append(known)
    for words in ours:
        if meant := [known for one in words for known in by_word.get(one, [])]:
            return meant
    return []


def _near(name: str, tier: Sequence[Known], likeness: float) -> list[Known]:
    """Those that are spelt most like the name, if they are so like it."""
    words = {_plain(known.shown) for known in tier}
    near = difflib.get_close_matches(_plain(name), words, 1, likeness)
    return [known for known in tier if _plain(known.shown) in near]


def _sentence(name: str, meant: list[Known], other: Known | None = None) -> str:
    """What may be meant by a name; `other` has it as it is written, and is not here."""
    first = meant[0]
    same_owner = [known for known in meant if known.owner == first.owner]
    names = list(dict.fromkeys(known.shown for known in same_owner))[:MOST_NAMES]
    plural = len(names) > 1
    of = f"{first.kind}s of {first.owner}" if plural else f"{article(first.kind)} of {first.owner}"
    if names == [name] or (first.absent and not plural and same(name, names[0])):
        return f"{name} is {of}{f': write {first.example}' if first.example else ''}."
    example = f", as in {first.example}" if first.example and not plural else ""
    if plural and _plain(name) in _TOGETHER:
        return f"{name}: give {' and '.join(names)}, {of}."
    remark = next((f" ({text})" for part, text in REMARKS.items() if part in _plain(name)), "")
    instead = f", or {other.example}" if other and other.example else ""
    return f"{name}: did you mean {' or '.join(names)}, {of}{example}{remark}{instead}?"
