"""Machines that fail in the middle of a sweep: some of the states that may be found then, and faults.

Which ones changes with the commit, as `samples` says. All of them are tried by `crash.states` and `crash.faults`, whose counts lie in results/trust/.
"""

import random

import pytest
from crash.disk import Disk, Operation
from crash.faults import FAILING, Failing
from crash.kinds import KINDS, small_ticks
from crash.states import Recorded
from samples import commit, place

SEED = place("crash states")
CHOSEN = random.Random(SEED).choice(FAILING)
TOLD = f"GROKJAX_SAMPLE={commit()}, {CHOSEN}"
STATES, CASES = 8, 4
"""Of the kind of sweep that is chosen."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    with small_ticks():
        folder = tmp_path_factory.mktemp("recorded")
        yield Recorded(KINDS[CHOSEN], folder, random.Random(SEED))


def test_a_sweep_goes_on_to_the_same_bits_from_whatever_a_failure_leaves(recorded):
    choose = random.Random(SEED)
    for state in choose.sample(list(recorded.states(choose)), STATES):
        wrong = recorded.check(state)
        assert wrong is None, f"{TOLD}, operation {state.at}: {state.words}: {wrong}"


def test_storage_that_fails_is_told_in_a_sentence_and_costs_nothing(recorded):
    failing = Failing(recorded)
    for fault, at in random.Random(SEED).sample(list(failing.cases()), CASES):
        wrong = failing.check(fault, at)
        assert wrong is None, f"{TOLD}, {fault.name} at operation {at}: {wrong}"


@pytest.mark.slow  # an hour or two
@pytest.mark.parametrize("kind", KINDS)
def test_every_state_and_every_fault(kind, tmp_path):
    with small_ticks():
        recorded, choose = Recorded(KINDS[kind], tmp_path, random.Random(0)), random.Random(0)
        assert not [s for s in recorded.states(choose) if recorded.check(s)]
        failing = Failing(recorded)
        cases = failing.cases() if kind in FAILING else ()
        assert not [(fault, at) for fault, at in cases if failing.check(fault, at)]


def found_after(*operations):
    """What may be found after a power cut."""
    disk = Disk()
    for operation in operations:
        disk.apply(operation)
    return [tree for _, tree in disk.after_power_loss(random.Random(0))]


def test_a_power_cut_takes_what_was_not_synced_and_nothing_else():
    written = [Operation("create", "a"), Operation("write", "a", data=b"1234")]
    found = found_after(*written)
    assert all(tree in found for tree in ({}, {"a": b""}, {"a": b"12"}, {"a": bytes(4)}))
    named = [*written, Operation("fsync", "a"), Operation("rename", "a", "b")]
    found = found_after(*named)
    assert all(tree in found for tree in ({}, {"a": b"1234"}, {"b": b"1234"}))
    assert not any(len(tree) > 1 or b"12" in tree.values() for tree in found)
    assert set(map(str, found_after(*named, Operation("syncdir", "")))) == {"{'b': b'1234'}"}
    # A name that was synced is of use only where its folder's is.
    inside = [Operation("mkdir", "d"), Operation("create", "d/a"), Operation("syncdir", "d")]
    assert {} in found_after(*inside)
    assert {} not in found_after(*inside, Operation("syncdir", ""))


def test_files_without_their_fsync_would_be_noticed(recorded, monkeypatch):
    """The harness finds what it is there to find."""
    monkeypatch.setattr(recorded, "log", [o for o in recorded.log if o.kind != "fsync"])
    states = [s for s in recorded.states(random.Random(0)) if s.words.endswith("zeros")]
    late = [state for state in states if state.at > len(recorded.log) * 0.6]
    assert any(recorded.check(state) for state in random.Random(0).sample(late, 6))
