"""The atlas: every claim can be planned and decided, and the command says what stands."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from grokjax import __main__ as command
from grokjax.atlas import claim as claims
from grokjax.atlas import effects, files, record, table, variant
from grokjax.atlas.effects import Effect
from grokjax.config import ConfigError
from grokjax.results.schema import SCHEMA_VERSION

ROOT = files.Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / files.CLAIMS).glob("*.py"))

MEASURED = {
    "bimodal_at_the_boundary": ["late_accuracy"],
    "binder_cumulant": ["late_accuracy"],
    "cosets_dihedral": ["constant_at_t_mem", "constant"],
    "cosets_s5": ["constant_at_t_mem", "constant"],
    "decay_removed": ["lowest_after", "mean_at_the_end"],
    "entropy_collapse": [
        *("entropy_at_t_mem", "entropy_at_the_end", "rank_at_t_mem", "rank_at_the_end"),
        *("entropy_halfway", "rank_halfway", "accuracy_halfway"),
    ],
    "foretelling": [
        *("at_200_train_loss", "at_200_weight_norm", "at_200_test_loss"),
        *("at_200_fourier_circulant", "at_200_fourier_embedding_gini"),
    ],
    "hysteresis": ["before", "late_accuracy"],
    "progress_leads": [
        *("test_accuracy", "fourier_circulant", "fourier_neurons_share"),
        *("fourier_embedding_gini", "fourier_excluded", "spectra_readout_effective"),
        "norms_all_norm",
    ],
    "slingshots": ["spikes"],
}
"""Claim → the columns that it reads off curves and measures."""


def made_up(claim, name, late=(), share=1.0):
    """A table of the claim with times of our own, those of the experiments `late` ten times as late."""
    rng, rows = np.random.default_rng(0), []
    for key, experiment in claim.experiments.items():
        if key in claim.without:
            continue
        for run_id, run in experiment.expansion.runs.items():
            grok = int(rng.uniform(250, 300)) * (10 if key in late else 1)
            seen = rng.uniform() < share and grok <= run.steps
            rows.append(
                {
                    **run.row(), "run_id": run_id, "experiment": key, "status": "done",
                    "steps": run.steps, "last_step": grok + 10 if seen else run.steps, "t_mem": 60,
                    "t_grok": grok if seen else pd.NA, "t_grok_sustained": grok if seen else pd.NA,
                    "t_grok_interpolated": grok if seen else np.nan,
                    "grok_gap": grok - 60 if seen else pd.NA, "n_collapses": 0,
                    "final_train_accuracy": 1.0, "final_test_accuracy": rng.uniform(0.9, 1.0) if seen else 0.1,
                    "max_test_accuracy": 0.3, "weight_norm_at_t_mem": 20.0 + rng.uniform(),
                    "weight_norm_at_t_grok": 10.0 + rng.uniform() if seen else np.nan,
                    **{column: rng.uniform(0.2, 0.9) for column in MEASURED.get(name, ())},
                    "best_subgroup": "a", "decay": run.row().get("changes_0_weight_decay", 1.0),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    frame = frame.astype(dict.fromkeys(("t_grok", "t_grok_sustained", "grok_gap"), "Int64"))
    kept = [*table.ALWAYS, *claim.cells, *claim.columns, *MEASURED.get(name, ()), "best_subgroup"]
    return frame[[c for c in dict.fromkeys([*kept, "decay"]) if c in frame]]


@pytest.fixture(scope="module")
def every():
    """Every claim of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {name: files.read(name) for name in NAMES}


def test_there_are_claims(every):
    assert len(every) >= 24
    assert len({claim.sentence for claim in every.values()}) == len(every)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_plans_says_what_it_costs_and_can_be_decided(name, every, tmp_path, monkeypatch):
    monkeypatch.setattr(effects, "CALLS", 10)
    monkeypatch.setattr(effects, "RESAMPLES", 100)
    claim = every[name]
    source = (ROOT / files.CLAIMS / f"{name}.py").read_text()
    assert f"Command:      {'pip install' if 'digits' in source else 'python'}" in source
    assert f"python -m grokjax.atlas run {name}\n" in source and "Cost:         " in source
    assert "arXiv" in claim.source or "account" in claim.source
    made = made_up(claim, name, share=0.7)
    counts = table.cells(claim, made)
    if not any(experiment.refine for experiment in claim.experiments.values()):
        assert counts["n"].min() >= 5
    table.write(tmp_path / "table.csv", made)
    decision = claim.decide(table.read(tmp_path / "table.csv"))
    assert decision.verdict in claims.VERDICTS
    assert decision.because.endswith(".") and "nan" not in decision.because.split()
    assert decision.effect.low <= decision.effect.high


OUTCOMES = {
    "grokfast_matched": (("baseline",), claims.CONFIRMED, ("grokfast",), claims.CONTRADICTED),
    "lottery_masks": (("dense", "random"), claims.CONFIRMED, ("grokked",), claims.CONTRADICTED),
    "decay_after_memorising": ((), claims.CONFIRMED, ("at_t_mem",), claims.CONTRADICTED),
    "layernorm_place": (("both", "none"), claims.CONFIRMED, ("mlp",), claims.CONTRADICTED),
    "transfer": (("scratch",), claims.HERE_ONLY, (), claims.CONTRADICTED),
}
"""Claim → experiments that are late in one table and in another, and the verdict of each."""


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_decision_goes_by_the_table(name, every):
    claim = every[name]
    slow, wanted, others, opposite = OUTCOMES[name]
    if name == "transfer":  # only what comes from sums is fast
        slow = ("scratch", "from_products", "from_noise")
    assert claim.decide(made_up(claim, name, slow)).verdict == wanted
    assert claim.decide(made_up(claim, name, others)).verdict == opposite


def test_an_effect_knows_what_it_does_not_know():
    def cell(times, seeds=6):
        made = {"t_grok": pd.array(times, dtype="Int64"), "t_mem": 50, "last_step": 1000}
        made["t_grok_interpolated"] = np.array([np.nan if t is pd.NA else t for t in times])
        return pd.DataFrame({**made, "seed": range(seeds), "steps": 1000, "status": "done"})

    soon, never = cell([100, 110, 120, 130, 140, 150]), cell([pd.NA] * 6)
    assert effects.ratio(soon, soon).value == 1
    late = effects.ratio(never, soon)
    assert late.at_least and late.value == pytest.approx(1000 / 120) and late.high == np.inf
    assert effects.judge(late, low=2) == claims.CONFIRMED
    both = effects.ratio(never, never)
    assert (both.low, both.high) == (0, np.inf)
    assert effects.judge(both, low=2) == claims.NOT_DECIDED
    unknown = effects.exponent(pd.concat([never.assign(x=1.0), never.assign(x=2.0)]), "x")
    assert effects.judge(unknown, -2, 0) == claims.NOT_DECIDED
    diverged = never.assign(status="diverged", last_step=10)
    assert effects.ratio(diverged, soon) == late  # it will not grok any more, and is not early
    assert effects.told(late).startswith("> 8.33 [") and effects.told(late).endswith(", …]")


def test_a_share_and_a_difference_have_the_printed_intervals():
    """Newcombe 1998, table II, methods 3 and 10: 81/263; 56/70 against 48/80."""
    one = effects.share([True] * 81 + [False] * 182)
    assert (one.value, one.low, one.high) == pytest.approx((0.308, 0.2553, 0.3662), abs=1e-4)
    two = effects.difference([True] * 56 + [False] * 14, [True] * 48 + [False] * 32)
    assert (two.value, two.low, two.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


@pytest.mark.parametrize(
    ("interval", "limits", "verdict"),
    [
        ((0.2, 0.4), {"low": 0.1}, claims.CONFIRMED),
        ((0.2, 0.4), {"low": 0.3}, claims.NOT_DECIDED),
        ((0.2, 0.4), {"low": 0.5}, claims.CONTRADICTED),
        ((0.2, 0.4), {"high": 0.5}, claims.CONFIRMED),
        ((0.2, 0.4), {"high": 0.1}, claims.CONTRADICTED),
        ((0.2, np.inf), {"low": 0.1}, claims.CONFIRMED),
        ((0.2, np.inf), {"high": 0.5}, claims.NOT_DECIDED),
        ((-np.inf, np.inf), {"low": 0.1, "high": 0.5}, claims.NOT_DECIDED),
        ((0.2, 0.4), {"low": 0.1, "high": 0.5}, claims.CONFIRMED),
        ((0.2, 0.6), {"low": 0.1, "high": 0.5}, claims.NOT_DECIDED),
        ((0.6, 0.7), {"low": 0.1, "high": 0.5}, claims.CONTRADICTED),
    ],
)
def test_a_verdict_is_where_the_interval_lies(interval, limits, verdict):
    assert effects.judge(Effect(sum(interval) / 2, *interval), **limits) == verdict


def test_a_condition_belongs_to_its_verdict():
    effect = Effect(1, 0, 2)
    for verdict, under in (("perhaps", ""), (claims.HERE_ONLY, ""), (claims.CONFIRMED, "x")):
        with pytest.raises(ConfigError):
            claims.Decision(verdict=verdict, effect=effect, because=".", under=under)


TINY = '''"""Does it get there?"""
from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, share

experiment = Experiment(
    task=ModularArithmetic("add", p=5, format="a b"), model=MLP(width=8, mlp_width=8),
    optimizer=AdamW(learning_rate=1e-2), steps=20, log_every=10, settle_steps=None,
    thresholds=Thresholds(grokked=0.01), sweep=grid(seed=range(3)),
)


def decide(table):
    effect = share(table["t_mem"].isna())
    return Decision(verdict=judge(effect, low=0.3), effect=effect, because="So it is.")


claim = Claim(
    topic="tests", sentence="It does not fit.", source="An account.", setting="Small.",
    confirms="it does not.", refutes="it does.", unit="share that does not fit",
    experiments={"main": experiment}, decide=decide,
)
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with one tiny claim."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / files.CLAIMS).mkdir(parents=True)
    files.PAGE.parent.mkdir()
    (tmp_path / files.CLAIMS / "tiny.py").write_text(TINY)
    return tmp_path


def printed(capsys, *words):
    """What the command prints on standard output."""
    assert command.main(["atlas", *words]) == 0
    return capsys.readouterr().out


def test_the_command_runs_lists_checks_and_notices_what_is_stale(checkout, capsys):
    assert "not run" in printed(capsys)
    assert "3 runs of at most 20 updates, 60" in printed(capsys, "run", "tiny", "--dry-run")
    assert not files.RESULTS.exists()
    assert "tiny: confirmed, 1 [" in printed(capsys, "run", "tiny", "--quiet")
    told = record.read("tiny")
    assert told["verdict"] == claims.CONFIRMED and told["effect"] == 1
    assert told["seeds_a_cell"] == [3, 3] and told["cost"]["run_steps"] == 60
    assert told["cost"]["cpu_s"] > 0 and told["schema"] == SCHEMA_VERSION
    of = files.RESULTS / "tiny"
    assert len(pd.read_csv(of / files.TABLE)) == 3
    assert (of / files.FIGURE).stat().st_size < 60_000
    listed = printed(capsys, "list")
    assert "confirmed" in listed and "0 not run, 0 stale" in listed

    printed(capsys, "run", "tiny", "--check", "seeds", "--quiet")
    (check,) = record.read("tiny")["checks"]
    assert check["verdict"] == claims.CONFIRMED
    assert pd.read_csv(of / "check-seeds.csv")["seed"].min() >= variant.SEEDS_LATER
    printed(capsys, "decide", "tiny", "--surprise", "Nobody knew.")
    printed(capsys, "page")
    page = files.PAGE.read_text()
    for text in ("Nobody knew.", "seeds + 1000: confirmed", "../results/atlas/tiny/table.csv"):
        assert text in page
    assert page.count("<tr>") == 2 and "../experiments/atlas/tiny.py" in page

    # The table is enough to decide again; another file, or another schema, makes it stale.
    shutil.rmtree(of / files.SWEEPS)
    (files.CLAIMS / "tiny.py").write_text(TINY.replace("low=0.3", "low=0.99"))
    assert "the claim's file has changed" in printed(capsys)
    assert "tiny: not decided" in printed(capsys, "decide", "tiny")
    assert record.read("tiny")["surprise"] == "Nobody knew."
    told = record.read("tiny")
    (of / files.VERDICT).write_text(json.dumps({**told, "schema": 3}))
    assert f"schema 3, now {SCHEMA_VERSION}" in printed(capsys)
    assert "low=0.99" not in printed(capsys, "show", "tiny")


def test_a_commit_to_what_trains_makes_a_verdict_stale_until_it_is_run_again(checkout, capsys):
    def commit(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        for words in (["init", "-q"], ["add", "grokjax", "experiments"], ["commit", "-qm", "."]):
            subprocess.run([*git, *words], check=True)
        record.commits_since.cache_clear()

    trains = checkout / "grokjax" / "training" / "step.py"
    commit(trains, "")
    printed(capsys, "run", "tiny", "--quiet")
    commit(checkout / "grokjax" / "figures" / "maps.py", "# a figure")
    assert "0 stale" in printed(capsys)
    commit(trains, "# a comment")
    assert "commits to what trains since: 1" in printed(capsys)
    printed(capsys, "run", "tiny", "--quiet")  # it finds its sweeps, which are of the old commit
    printed(capsys, "decide", "tiny")
    assert "1 stale" in printed(capsys)
    shutil.rmtree(files.RESULTS / "tiny" / files.SWEEPS)
    printed(capsys, "decide", "tiny")
    assert "1 stale" in printed(capsys)
    printed(capsys, "run", "tiny", "--quiet")
    assert "0 stale" in printed(capsys)
    told = record.read("tiny")
    record.write("tiny", told | {"git": {"sha": "0" * 40, "dirty": False}})
    assert "0000000, a commit that is not here" in printed(capsys)
    record.write("tiny", told | {"git": told["git"] | {"dirty": True}})
    assert "not committed" in printed(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run"], "NAME"),
        (["run", "tinny"], "tiny"),
        (["pages"], "pages"),
        (["page", "tiny"], "NAME='tiny'"),
        (["list", "--check", "seeds"], "check='seeds'"),
        (["decide", "tiny"], "table.csv"),
        (["run", "tiny", "--check", "seeds"], "a check is of a verdict"),
    ],
)
def test_bad_words_get_one_sentence(checkout, capsys, words, named):
    assert command.main(["atlas", *words]) == 2
    said = capsys.readouterr()
    assert named in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert not files.RESULTS.exists()


def test_every_claim_says_how_it_was_checked_against_its_source(monkeypatch):
    monkeypatch.chdir(ROOT)
    kinds = {"text", "excerpts", "notes", "code", "abstract", "memory"}
    told = files.sources()
    assert sorted(told) == NAMES
    assert all(set(one["checked"]) <= kinds and one["says"].strip() for one in told.values())


def test_outside_of_a_checkout_there_are_no_claims(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["atlas"]) == 2
    assert "experiments/atlas" in capsys.readouterr().err


def test_checks_change_seeds_types_and_donors_alone(every):
    claim = variant.varied(every["transfer"], "transfer", "seeds")
    assert claim.experiments["from_sums"].start.path.endswith("sweeps-seeds/sums")
    assert {run.seed for run in claim.experiments["sums"].runs()} == set(range(1000, 1008))
    claim = variant.varied(every["transfer"], "transfer", "float64")
    assert {run.dtype for e in claim.experiments.values() for run in e.runs()} == {"float64"}
    with pytest.raises(ConfigError, match="types of numbers"):
        variant.varied(every["loss_precision"], "loss_precision", "float64")


def test_help_comes_without_jax_and_pandas():
    script = (
        "import sys\n"
        "from grokjax.atlas.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'jax', 'matplotlib', 'pandas', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
