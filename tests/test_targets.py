"""Programs for devices that are not there: refusals, the record, and what a compiler makes of them."""

import importlib.util
import json
import re

import jax
import pytest
from jax.experimental import topologies

from grokjax import ConfigError
from grokjax.bench import __main__ as command
from grokjax.bench import cases, targets
from grokjax.bench.options import Options
from grokjax.engine import compiling, roofline
from grokjax.engine import targets as engine_targets


def in_a_sentence(error, *words):
    """Assert that an error is one line that ends like a sentence and has these words."""
    text = str(error)
    assert "\n" not in text and text[-1] in ".?" and text[-2] not in ".?"
    for word in words:
        assert word in text


def test_an_unknown_target_is_refused_in_a_sentence(capsys):
    with pytest.raises(ConfigError) as refused:
        engine_targets.target("h10")
    in_a_sentence(refused.value, "target='h10'", "h100")
    assert command.main(["--target", "tpu9"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: target='tpu9'") and error.count("\n") == 1


@pytest.mark.parametrize("error", [NotImplementedError, RuntimeError, ValueError])
@pytest.mark.parametrize("name", engine_targets.TARGETS)
def test_a_compiler_that_is_not_installed_is_said_in_a_sentence(name, error, monkeypatch):
    def missing(*arguments, **options):
        raise error("no such platform\nwith a second line")

    monkeypatch.setattr(topologies, "get_topology_desc", missing)
    target = engine_targets.target(name)
    with pytest.raises(ConfigError) as refused:
        target.sharding()
    in_a_sentence(refused.value, f"target={name!r}", target.platform, "grokjax[targets]")


def test_a_missing_compiler_ends_the_command_with_bad_usage(monkeypatch, capsys):
    def missing(*arguments, **options):
        raise RuntimeError("Unknown backend: 'cuda' requested")

    monkeypatch.setattr(topologies, "get_topology_desc", missing)
    assert command.main(["--target", "h100", "--cases", "narrow", "--lanes", "2"]) == 2
    found = capsys.readouterr()
    assert found.err.startswith("error: target='h100'") and found.err.count("\n") == 1
    assert found.out == ""


@pytest.mark.parametrize("target", engine_targets.TARGETS.values(), ids=engine_targets.TARGETS)
def test_figures_of_targets_are_possible(target):
    assert target.flop_rates.keys() == {"highest", "high", "default"}
    assert target.flop_rates["highest"] <= target.flop_rates["default"] < 1e15
    assert 1e9 < target.memory < 1e12 and 1e11 < target.bandwidth < 1e13
    assert target.backend == ("gpu" if target.platform == "cuda" else "tpu")
    assert ("cuda_compute_capability" in target.description) == (target.platform == "cuda")


STEP = """
%body (state: f32[8,32]) -> f32[8,32] {
  %state = f32[8,32]{1,0} parameter(0)
  %w = f32[32,64]{1,0} constant({...})
  %v = f32[64]{0} constant({...})
  %h = f32[8,64]{1,0} dot(%state, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}, metadata={op_name="jit(f)/while/body/closed_call/in/dot"}
  %m = f32[8,32]{1,0} custom-call(%state, %v, %v, %w, %v, %w), custom_call_target="__gpu$xla.gpu.triton", metadata={op_name="jit(f)/while/body/mlp_forward/call"}
  %a = f32[8,32]{1,0} negate(%state)
  ROOT %b = f32[8,32]{1,0} negate(%a)
}

ENTRY %main (start: f32[8,32]) -> f32[8,32] {
  %start = f32[8,32]{1,0} parameter(0)
  ROOT %loop = f32[8,32]{1,0} while(%start), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"TRIPS"}}
}
"""


class Program:
    """Stands for a compiled program."""

    def as_text(self):
        return STEP.replace("TRIPS", str(roofline.UPDATES - 1))


@pytest.fixture
def compiled(monkeypatch):
    """No compiler: a text of four kernels for every program, and 3 GiB."""
    here = compiling.sharding(1)
    monkeypatch.setattr(engine_targets.Target, "sharding", lambda self: here)
    monkeypatch.setattr(compiling, "compiled", lambda *arguments: Program())
    monkeypatch.setattr(compiling, "memory", lambda program: 3 * 2**30)


def test_a_record_has_what_the_text_says_a_step_must_cost(compiled, tmp_path, capsys):
    arguments = ["--target", "h100", "--cases", "narrow", "--lanes", "4", "--out", str(tmp_path)]
    assert command.main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text()) == record
    target = engine_targets.target("h100")
    assert record["estimated"] and record["target"]["name"] == "h100"
    assert record["target"]["flop_rate"] == target.flop_rates["highest"]
    (row,) = record["rows"]
    rows, hidden, weights = 8 * 32 * 4, 8 * 64 * 4, 32 * 64 * 4
    # dot, the kernel with its vectors of 64 numbers, and two negations.
    moved = (rows + weights + hidden) + (2 * rows + 2 * weights + 3 * 256) + 2 * 2 * rows
    flops = 2 * 8 * 32 * 64 + 2 * (2 * 8 * 32 * 64)
    assert (row["case"], row["lanes"], row["kernels"]) == ("narrow", 4, 4)
    assert row["row_multiple"] > 1
    assert row["megabytes"] == pytest.approx(moved / 4 / 1e6)
    assert row["whole_megabytes"] == row["megabytes"]
    assert row["gflop"] == pytest.approx(flops / 4 / 1e9)
    assert row["by_memory"] == pytest.approx(4 * target.bandwidth / moved)
    assert row["by_products"] == pytest.approx(4 * target.flop_rates["highest"] / flops)
    assert 4 / row["with_launches"] > 4 * target.launch_seconds
    assert row["memory_gib"] == 3
    assert sum(kernel["times"] for kernel in row["costly"]) == 4
    microseconds = [kernel["microseconds"] for kernel in row["costly"]]
    assert sum(microseconds) == pytest.approx(4e6 / row["with_launches"])
    assert microseconds == sorted(microseconds, reverse=True)


def test_every_line_of_the_table_says_that_it_is_estimated(compiled):
    options = Options(cases=("narrow", "mlp"), target="v5e", lanes=2, precision="default")
    found = targets.measure(options, "x")
    text = targets.table(found)
    assert all("estimated" in line for line in text.splitlines())
    assert "v5e" in text and "default" in text and "narrow, 2 lanes" in text and "mlp, 2" in text


def test_lanes_without_a_number_are_those_of_a_full_device(compiled):
    found = targets.measure(Options(cases=("narrow",), target="a100"), "x")
    assert [row["lanes"] for row in found["rows"]] == list(targets.LANES)


@pytest.fixture(scope="module")
def optimised():
    """Compile as sweeps do, and not as tests."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


COMPILERS = {"cuda": "jax_cuda12_plugin", "tpu": "libtpu"}
"""Platform → the package that has its compiler."""


def installed(name):
    """The target of a name, where its compiler is."""
    target = engine_targets.target(name)
    if importlib.util.find_spec(COMPILERS[target.platform]) is None:
        pytest.skip(f"no compiler for {target.platform}")
    return target


def compiled_row(target, sharding):
    """The text of the quickstart's segment in eight lanes, and the bench's row of it."""
    (case,) = cases.chosen(Options(cases=("narrow",)))
    texts, healthy = [], compiling.compiled
    with pytest.MonkeyPatch.context() as patch:

        def compiled(*arguments):
            made = healthy(*arguments)
            texts.append(made.as_text())
            return made

        patch.setattr(compiling, "compiled", compiled)
        row = targets._case(case, 8, target, sharding)
    (text,) = texts
    return text, row


@pytest.fixture(scope="module")
def narrow(optimised):
    target = installed("h100")
    return compiled_row(target, target.sharding())


COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective", "reduce-scatter")


@pytest.mark.slow  # half a minute of a compiler
def test_a_gpu_adds_up_in_one_order_and_speaks_to_nobody(narrow):
    text, _ = narrow
    for word in (*COLLECTIVES, "callback", "infeed", "outfeed", " send(", " recv("):
        assert word not in text, word
    scatters = [line for line in text.splitlines() if re.search(r"\bscatter\(", line)]
    unordered = [line for line in scatters if "unique_indices=true" not in line]
    assert unordered == []


@pytest.mark.slow  # shares what is compiled
def test_a_gpu_gets_the_kernels_of_the_mlp(narrow):
    text, row = narrow
    for name in ("mlp_forward", "mlp_backward_rows", "mlp_backward_units"):
        assert name in text
    assert row["lanes"] == 8 and row["kernels"] > 0
    assert 0 < row["megabytes"] <= row["whole_megabytes"]
    assert row["gflop"] >= row["needed_gflop"] > 0
    assert 0 < row["with_launches"] < min(row["by_memory"], row["by_products"])
    # Without them the hidden layer [rows, 128] alone would be written once and read seven times.
    labels = {kernel["label"] for kernel in row["costly"]}
    assert any("mlp_forward" in label for label in labels)


@pytest.mark.slow  # loads a compiler
def test_the_compiler_for_tpus_knows_its_targets():
    for name, target in engine_targets.TARGETS.items():
        if target.platform == "tpu":
            (device,) = installed(name).sharding().mesh.devices.flat
            assert device.platform == "tpu"


@pytest.mark.slow  # half a minute of a compiler
@pytest.mark.usefixtures("optimised")
def test_a_tpu_has_a_program_without_kernels_for_gpus():
    target = installed("v5e")
    text, row = compiled_row(target, target.sharding())
    for word in (*COLLECTIVES, "callback", "infeed", "outfeed", "xla.gpu"):
        assert word not in text, word
    assert row["kernels"] > 0 and row["gflop"] >= row["needed_gflop"] > 0
    assert 0 < row["megabytes"] <= row["whole_megabytes"]
