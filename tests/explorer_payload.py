"""A small sweep for the explorer's page, with words in it that would like to be markup."""

import math

HOSTILE = "</script><img src=x onerror=alert(1)>"
BOLD = '<b onclick="alert(2)">{bold}</b> & %{x} $x$'
DECAYS, FRACTIONS, NORMS, SEEDS = (0.1, 1.0, 10.0), (0.3, 0.5), (HOSTILE, "none"), range(3)
METRICS = ["train_accuracy", "test_accuracy", "train_loss", "test_loss"]


def curve(t_mem, t_grok, points=30):
    """Accuracies that jump at their times, and losses that fall with them."""
    steps = [0, *range(10, 10 * points, 10)]
    train, test = ([min(1.0, 0.05 + (step >= t)) for step in steps] for t in (t_mem, t_grok))
    losses = [[4 * (1.05 - accuracy) for accuracy in split] for split in (train, test)]
    return dict(zip(["step", *METRICS], [steps, train, test, *losses], strict=True))


def table_of_runs(points=30):
    """Columns of 36 runs, and their curves: with weight decay 0.1 nothing groks."""
    rows, curves = [], {}
    grid = [(d, f, n, s) for d in DECAYS for f in FRACTIONS for n in NORMS for s in SEEDS]
    for number, (decay, fraction, norm, seed) in enumerate(grid):
        t_mem, t_grok = 20 + seed, None if decay < 1 else 100 + 10 * number
        rows.append(
            {
                "run_id": f"run{number:02d}",
                "status": "done",
                "weight_decay": decay,
                "train_fraction": fraction,
                "norm": norm,
                "seed": seed,
                "width": 128,
                "t_mem": t_mem,
                "t_grok": math.nan if t_grok is None else t_grok,
                "phase": "grokking" if t_grok else "memorization",
            }
        )
        curves[f"run{number:02d}"] = curve(t_mem, t_grok or math.inf, points)
    return {name: [row[name] for row in rows] for name in rows[0]}, curves


def a_map(x, xs, y, ys):
    """A map whose first column is censored."""
    times = [
        [math.nan, *(100.0 * (i + j) for i in range(1, len(xs)))] for j in range(1, 1 + len(ys))
    ]
    censored = [[math.isnan(value) for value in row] for row in times]
    texts = [[">300" if math.isnan(value) else f"{value:.0f}" for value in row] for row in times]
    shares = [[0.0 if math.isnan(value) else 1.0 for value in row] for row in times]
    share_texts = [[f"{share:.0%}" for share in row] for row in shares]
    never = [[False] * len(xs)] * len(ys)
    layers = {
        "t_grok": {"values": times, "text": texts, "censored": censored},
        "p_grok": {"values": shares, "text": share_texts, "censored": never},
    }
    return {"x": x, "y": y, "xs": list(xs), "ys": list(ys), "layers": layers}


def payload(**changes):
    runs, curves = table_of_runs()
    line = [[[0.1, 0.55], [1.0, 0.3]]]
    return {
        "title": HOSTILE,
        "command": f"python -m grokjax.sweep '{HOSTILE}'",
        "provenance": [["device", BOLD]],
        "thresholds": [["t_grok", 0.9]],
        "notes": [f"too few seeds {BOLD}"],
        "runs": runs,
        "axes": ["weight_decay", "train_fraction", "norm", "seed"],
        "measures": ["t_mem", "t_grok", "phase"],
        "labels": {"norm": f"norm {BOLD}"},
        "maps": [
            a_map("weight_decay", DECAYS, "train_fraction", FRACTIONS),
            a_map("weight_decay", DECAYS, "norm", NORMS),
        ],
        "metrics": [
            {"name": "t_grok", "label": f"median t_grok {BOLD}", "log": True, "scale": "time"},
            {"name": "p_grok", "label": "grokked", "log": False, "scale": "probability"},
        ],
        "boundary": {
            "x": "weight_decay",
            "y": "train_fraction",
            "curve": line,
            "band": [[*line[0], *line[0][::-1]]],
        },
        "curves": {"step_unit": "update", "metrics": METRICS, "runs": curves},
        "tables": [{"title": f"zone {BOLD}", "columns": [BOLD, "n"], "rows": [[HOSTILE, 3]]}],
        **changes,
    }
