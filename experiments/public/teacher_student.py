"""When does a student of twice the usual initial size come to its teacher?

Question:     five numbers of five, through two layers of 100 tanh units: share of rows whose mean
              squared error is below 0.001, and the squared norm of the weights?
Command:      python -m grokjax.sweep experiments/public/teacher_student.py
Cost:         2 runs of 19,000 full-batch updates of 100 rows; experiments/public/README.md has it.
Expectation:  training rows are right by update 1,000, and test rows rise slowly over the next
              20,000 while the norm falls.
Source:       KindXiaoming/Omnigrok, teacher-student/grokking/regression_grokking.ipynb.
Printed:      training rows: 0.64 at 400, 0.99 at 800. Test rows: 0.13 at 1,000, 0.20 at 2,400, 0.61
              at 14,400, 0.76 at 18,800. Squared norm: 429.6 at first, 410.3 at 1,000, 241.3 at
              18,800.

The notebook's squared norm has the weights of the first layer twice, 134 of the 430 at first.
"""

from grokjax import MLP, AdamW, Experiment, MeanSquaredError, TeacherStudent, grid

experiment = Experiment(
    task=TeacherStudent(
        n_inputs=5,
        n_outputs=5,
        samples=200,
        teacher="tanh",
        teacher_units=100,
        teacher_layers=2,
        teacher_init="torch",
        standardised=False,
        tolerance=1e-3,
        row_error="mean_square",
    ),
    model=MLP(
        layers=2,
        mlp_width=100,
        activation="tanh",
        biases=True,
        init="torch",
        init_scale=2.0,
    ),
    optimizer=AdamW(learning_rate=3e-4, weight_decay=0.05, b2=0.999),
    loss=MeanSquaredError(),
    train_fraction=0.5,
    steps=19_000,
    settle_steps=None,
    log_every=200,
    sweep=grid(seed=range(2)),
)
