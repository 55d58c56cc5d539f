"""Tables from files of text, with words that are numbered and answers of several tokens."""

import json

import numpy as np
import pandas as pd
import pytest

import grokjax
from grokjax import ConfigError, Experiment, GivenSplit, Table, tasks

PATTERN = "{x} {op} {y} = {target}"


def said(table, row):
    """The tokens of a row as text."""
    return [table.vocabulary[token] for token in tasks.build(table).inputs[row]]


def test_lines_of_several_files_are_rows_of_a_given_split(tmp_path):
    for name, lines in {
        "train": ["5 / 9 = 71", "3 + 1 = 4", "", "3 + 1 = 4"],
        "test": ["3 + 1 = 4", "9 / 5 = 0"],
        "third": ["1 + 1 = 2"],
    }.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    paths = {name: tmp_path / f"{name}.txt" for name in ("train", "test", "third")}
    words = Table.read(**paths, pattern=PATTERN)
    assert words.target_kind == "classes"
    assert said(words, 0) == ["5", "/", "9", "="]
    assert [words.vocabulary[t] for t in words.targets] == ["71", "4", "4", "4", "0", "2"]
    assert words.given_sets == (0, 0, 0, 1, 1, 2)
    characters = Table.read(**paths, pattern=PATTERN, characters=True)
    table = tasks.build(characters)
    # Read from "=" and, with the first character of the answer in view, one further.
    assert said(characters, 0) == [*"5 / 9 =", "7"]
    assert table.answers == (6, 7)
    answers = [[characters.vocabulary[t] for t in row] for row in table.targets]
    assert answers[:2] == [["7", "1"], ["4", "<pad>"]]
    assert table.chance == 0.5
    experiment = Experiment(task=characters, split=GivenSplit())
    assert experiment.n_train == 3
    assert Table.read(**paths, pattern=PATTERN, characters=True) == characters
    assert words.sha256 != characters.sha256


@pytest.mark.parametrize(
    ("line", "pattern", "words"),
    [
        ("3 + + 1 = 4", PATTERN, ("bad.txt, line 2: '3 + + 1 = 4'", "pattern")),
        ("3+1=4", PATTERN, ("line 2: '3+1=4'",)),
        ("3 + 1 = 4", None, ("pattern=None", "{target}")),
        ("3 + 1 = 4", "{x} + {y} = {z}", ("one of them target",)),
        ("3 + 1 = 4", "{x} + {x} = {target}", ("each field once",)),
        ("3 + 1 = 4", "{x y} = {target}", ("letters, digits",)),
    ],
)
def test_lines_that_do_not_read_like_the_pattern_are_refused(tmp_path, line, pattern, words):
    path = tmp_path / "bad.txt"
    path.write_text(f"1 + 1 = 2\n{line}\n")
    with pytest.raises(ConfigError) as refusal:
        Table.read(path, pattern=pattern)
    assert all(word in str(refusal.value) for word in words)


def test_columns_of_text_a_split_and_groups(tmp_path):
    rows = [
        {"x": 0, "op": "+", "target": "even", "set": "train", "who": "ann"},
        {"x": 1, "op": "-", "target": "odd", "set": "val", "who": "bob"},
        {"x": 1, "op": "+", "target": "odd", "set": "Test", "who": "ann"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    table = Table.read(path, split="set", group="who")
    assert table.inputs == ((0, 2), (1, 3), (1, 2))
    assert table.vocabulary == ("0", "1", "+", "-")
    assert table.class_names == ("even", "odd")
    assert table.given_sets == (0, 2, 1)
    assert tasks.build(table).groups.tolist() == [0, 1, 0]
    rows[1]["set"] = "trian"
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ConfigError, match=r"set\[1\]='trian': write train, test"):
        Table.read(tmp_path / "rows.csv", split="set")
    with pytest.raises(ConfigError, match="loss_on='all': classes have names of their own"):
        table.replaced(loss_on="all")
    with pytest.raises(ConfigError, match="give path, or train="):
        Table.read()
    with pytest.raises(ConfigError, match="train=None: give the file of the training rows"):
        Table.read(test=path)


@pytest.mark.drawn
def test_what_numbers_stand_for_is_kept_and_so_is_what_stands_on_both_sides(tmp_path):
    train = [f"{a} + {b} = {(a + b) % 4}" for a in range(4) for b in range(4)]
    (tmp_path / "train.txt").write_text("\n".join(train[:12] + train[:2]))
    (tmp_path / "test.txt").write_text("\n".join(train[10:]))
    table = Table.read(
        train=tmp_path / "train.txt", test=tmp_path / "test.txt", pattern="{x} + {y} = {target}"
    )
    model = grokjax.MLP(token_inputs="one_hot", mlp_width=4)
    experiment = Experiment(task=table, split=GivenSplit(), model=model, steps=10)
    results = grokjax.run(experiment, tmp_path / "out", progress=False)
    kept = results.manifest["vocabularies"][table.sha256]["vocabulary"]
    assert [kept[token] for token in table.inputs[1]] == ["0", "+", "1", "="]
    (told,) = results.manifest["warnings"]
    assert told == (
        "table: 4 of 20 rows repeat another; 2 of 6 test rows are training rows too, so that test "
        "accuracy counts what was memorised"
    )
    assert told in " ".join(results.summary().warnings)
    (row,) = results.runs.to_dict("records")
    assert (row["n_train"], row["n_test"], row["train_fraction"]) == (14, 6, 0.7)
    assert results.split(row["run_id"], experiment=experiment).test.tolist() == [*range(14, 20)]
    assert np.isfinite(row["final_test_loss"])
