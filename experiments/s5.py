"""How does a network learn the products of permutations: by irreps, or by cosets?

Question:     on S_5, how much of the logits is a function of the conjugacy class of a b c⁻¹ alone,
              which irreps are in them, and when does each come (Chughtai et al. 2023, Stander et
              al. 2023)?
Command:      python -m grokjax.sweep experiments/s5.py
Cost:         5 runs of 4,000 updates, about ten minutes on two CPU cores with all measurements.
Expectation:  few irreps, the standard one among them; the bi-invariant share of the logits stays
              well below 1 in perfect networks, because many of them compute with cosets.
"""

from grokjax import (
    MLP,
    AdamW,
    Cosets,
    Experiment,
    FiniteGroup,
    Norms,
    Probes,
    Representations,
    SnapshotSchedule,
    Spectra,
    Thresholds,
    grid,
)

experiment = Experiment(
    task=FiniteGroup("S5", format="a b"),
    model=MLP(width=64, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.5,
    steps=4000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    snapshots=SnapshotSchedule(at=(0,), log_spaced=12, moments=("t_mem", "t_grok", "end")),
    instruments=(Norms(), Spectra(), Representations(), Probes(), Cosets()),
    sweep=grid(seed=range(5)),
)
