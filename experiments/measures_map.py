"""What moves before a network groks, and can it be foretold? Measures over a map.

Question:     which measures move before the test accuracy does, and which tell, among runs of the
              same weight decay and fraction, the one that will grok sooner?
Command:      python -m grokjax.sweep experiments/measures_map.py
              and for Hessian, ablations and commutator the command in verdicts.py
Cost:         144 runs of 4,000 updates, about a quarter of an hour on two CPU cores; snapshots take
              24 MB.
Expectation:  structure of the logits rises before the test accuracy. Popular signs of grokking,
              scored within cells of equal weight decay and fraction, lose most of what they show
              over the whole map, where they stand for weight decay.

Sixteen runs on random labels are the control: they memorise, and there is nothing to understand.
"""

from grokjax import (
    AdamW,
    ClockOrPizza,
    Efficiency,
    Experiment,
    Fourier,
    Heads,
    ModularArithmetic,
    Norms,
    Numerics,
    Probes,
    Representations,
    SnapshotSchedule,
    Spectra,
    Symmetry,
    Thresholds,
    Trajectory,
    Transformer,
    grid,
)

map_ = grid(
    train_fraction=[0.4, 0.45, 0.5, 0.6],
    weight_decay=[0.25, 0.4, 0.63, 1.0],
    label_noise=[0.0],
    seed=range(8),
)
control = grid(train_fraction=[0.4, 0.5], weight_decay=[0.4], label_noise=[1.0], seed=range(8))

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=4000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    snapshots=SnapshotSchedule(at=(0,), moments=("t_mem", "t_grok", "end"), with_optimizer=True),
    instruments=(
        Norms(),
        Trajectory(),
        Numerics(),
        Efficiency(),
        Spectra(),
        Fourier(),
        Representations(),
        ClockOrPizza(),
        Symmetry(),
        Heads(),
        Probes(),
    ),
    sweep=[*map_.cells, *control.cells],
)
