"""Networks in the formats of other programs compute what they compute here."""

import dataclasses
import functools
import json
import re
import sys

import hooked
import jax
import numpy as np
import pytest
import reference
import test_models
import vocabulary
from conftest import QUICKLY

import grokjax
from grokjax import MLP, ConfigError, Transformer, tasks, traced
from grokjax.engine import foreign
from grokjax.formats import files, lens
from grokjax.results import snapshots
from grokjax.weights import Network

TINY = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=5),
    model=Transformer(width=8, heads=2, mlp_width=12),
    dtype="float64",
)
ANSWERS = dataclasses.replace(
    TINY,
    task=grokjax.Sequence("reverse", symbols=3, length=2),
    model=dataclasses.replace(TINY.model, norm="rms", final_norm=True, tied=True),
)
FORMS = {
    **{f"model: {word}": vocabulary.WORDS[f"model: {word}"] for word in vocabulary.MODELS},
    **{f"own: {word}": vocabulary.WORDS[f"own: {word}"] for word in ("lstm", "convolutions")},
    "answers": ANSWERS,
    "float32": dataclasses.replace(TINY, dtype="float32"),
}
"""Every form of a network in the vocabulary, and one that is read at several positions."""
IN_TORCH = {
    word
    for word in vocabulary.MODELS
    if isinstance(FORMS[f"model: {word}"].model, MLP | Transformer)
}
IN_LENS = {"transformer", "transformer dropout", "transformer multihead"}
BESIDE = {"answers", "float32"}
"""Forms that are not to be refused."""


def made(experiment):
    """A network with parameters away from their special starting values, as if it were trained."""
    run, rng = experiment.resolved(), np.random.default_rng(0)

    def drawn(name, shape):
        draws = rng.normal(size=shape).astype(run.dtype)
        return 1 + draws / 10 if name.endswith("scale") else 0.4 * draws

    arrays = {f"params/{n}": drawn(n, s) for n, s in foreign.wanted_shapes(run).items()}
    params = snapshots.nested(arrays, "params")
    return Network(run, 0, params, tasks.build(run.task))


@functools.cache
def form(word):
    return made(FORMS[word])


@functools.cache
def outputs(word):
    """The logits of a form, in one program."""
    network = form(word)
    with jax.enable_x64(True):
        apply = jax.jit(lambda params: network(None, params), compiler_options=QUICKLY)
        return np.asarray(apply(network.params))


def torch_logits(network):
    """Logits of the PyTorch module on the whole table."""
    import torch

    module, inputs = network.to_torch(), torch.tensor(network.dataset.inputs)
    dtype = torch.int64 if network.dataset.vocabulary else module.unembed.weight.dtype
    with torch.no_grad():
        return module(inputs.to(dtype)).numpy()


def lens_logits(network):
    """Logits by what the names of a HookedTransformer mean."""
    state = lens.arrays(network.model, network.dataset, network.params)
    config = lens.config_of(network.model, network.dataset)
    taken = lens.Lens(config, state, network.dataset.answers or network.model.readout)
    return taken.read(hooked.logits(config, state, network.dataset.inputs))


def real_lens_logits(network):
    """Logits of TransformerLens itself, whichever version it is."""
    import torch

    taken, inputs = network.to_transformer_lens(), torch.tensor(network.dataset.inputs)
    with torch.no_grad():
        return taken.read(taken.model()(inputs.long())).numpy()


CLOSE = {"float32": 1e-6, "float64": 1e-12}
"""How far logits may be apart, as shares of the largest."""


def agrees(logits, network, expected):
    """Whether a format has the expected logits; False where it refuses, naming a field."""
    try:
        found = logits(network)
    except ConfigError as error:
        assert re.match(r"model(\.\w+)?=.*, take (the PyTorch|grokjax's)", str(error))
        return False
    expected = expected()
    assert found.dtype == expected.dtype
    # The RMSNorm of TransformerLens 4 computes in float32.
    close = CLOSE["float32" if logits is real_lens_logits else network.run.dtype]
    np.testing.assert_allclose(found, expected, rtol=0, atol=close * np.abs(expected).max())
    return True


def form_agrees(logits, word):
    return agrees(logits, form(word), lambda: outputs(word))


@pytest.mark.drawn
@pytest.mark.parametrize("word", FORMS)
def test_every_form_agrees_in_pytorch_or_is_refused(word):
    pytest.importorskip("torch")
    assert form_agrees(torch_logits, word) or word.split(": ")[-1] not in IN_TORCH | BESIDE


@pytest.mark.drawn
@pytest.mark.parametrize("word", FORMS)
def test_every_form_agrees_by_the_names_of_transformer_lens_or_is_refused(word):
    assert form_agrees(lens_logits, word) or word.split(": ")[-1] not in IN_LENS | BESIDE


@pytest.mark.parametrize("word", [f"model: {word}" for word in sorted(IN_TORCH)])
def test_every_axis_of_every_form_has_a_word(word):
    table = form(word).parameters
    assert (table["axes"].str.split(", ").map(len) == table["shape"].map(len)).all()


@functools.cache
def of_options(at):
    """A transformer with options, and what it computes by the NumPy reference."""
    model = dataclasses.replace(TINY.model, **OPTIONS[at])
    network = made(dataclasses.replace(TINY, model=model))
    table = network.dataset
    return network, lambda: reference.logits(model, network.params, table.inputs, table.n_classes)


def in_lens(options):
    """Whether TransformerLens has all of some options."""
    norm = options.get("norm", "none")
    return (
        options.get("activation", "relu") in lens.ACTIVATIONS
        and norm in ("none", "pre", "rms")
        and not (options.get("qk_norm") or options.get("value_norm"))
        and not (options.get("gated") and options.get("biases"))
        and options.get("attention_rate") != 0.3
        and options.get("final_norm", False) == (norm != "none")
    )


PLACES = ("peri", "attention", "mlp", "queries_keys", "values", "stream")
FINAL = {"norm": "pre", "final_norm": True}
SINGLES = [
    *({name: value} for name, values in test_models.OPTIONS.items() for value in values),
    *({"activation": name} for name in ("tanh", "sigmoid")),
    *({"norm": place} for place in PLACES),
    {"final_norm": True},
    {"gated": True},
    {"qk_norm": True},
    {"value_norm": True},
    {"attention_biases": True},
    {"unembed_biases": True},
    {"positions": "sinusoidal"},
    {"positions": "rotary", "rotary_base": 50.0},
    {"embed_scale": 3.0},
    *({"norm": "peri", "norm_kind": kind} for kind in ("layer", "rms")),
    *({**FINAL, "norm_gains": False, "norm_biases": here} for here in (False, True)),
    {**FINAL, "norm_biases": True, "norm_epsilon": 0.1},
    {**FINAL, "biases": True, "norm_biases": False, "attention_biases": False},
    {"init": "gpt2", "embed_init": "frequencies", "frequencies": (1, 2)},
    {"dropout": 0.5, "dropout_places": ("weights",), "embed_init": "identity"},
]
TOGETHER = [
    {"norm": "pre", "final_norm": True, "biases": True, "layers": 2, "readout": "mean"},
    {"norm": "pre", "final_norm": True, "causal": False, "positions": "rotary", "biases": True},
    {"norm": "rms", "final_norm": True, "biases": True, "tied": True, "output_scale": 0.7},
    {"norm": "post", "final_norm": True, "biases": True, "layers": 2},
    {"scaling": "mup", "positions": "rotary", "layers": 2, "tied": True, "biases": True},
    {"attention": "uniform", "causal": False, "positions": "none", "readout": "mean"},
    {"attention_rate": 0.0, "positions": "rotary", "biases": True, "head_width": 2},
    {"attention_rate": 0.3, "positions": "rotary", "layers": 2, "scaling": "mup", "tied": True},
    {
        "norm": "rms", "final_norm": True, "gated": True, "activation": "silu", "layers": 2,
        "positions": "rotary", "rotary_base": 1e6, "attention_biases": True,
    },
    {"gated": True, "biases": True, "activation": "gelu", "layers": 2},
    {
        "positions": "sinusoidal", "embed_scale": 3.0, "tied": True, "layers": 2,
        "scaling": "mup", "norm": "pre", "final_norm": True, "activation": "gelu_tanh",
    },
    {"attention_rate": 0.0, "qk_norm": True, "norm": "queries_keys", "biases": True},
    {
        "attention_rate": 0.3, "qk_norm": True, "norm": "peri", "norm_kind": "rms",
        "scaling": "mup", "positions": "rotary", "rotary_base": 12.5, "layers": 2,
    },
    {"qk_norm": True, "scaling": "mup", "norm_biases": True, "head_width": 6},
    *test_models.NEWER,
]  # fmt: skip
OPTIONS = {str(options): options for options in SINGLES + TOGETHER}


@pytest.mark.drawn
@pytest.mark.parametrize("at", OPTIONS)
def test_every_option_by_the_names_of_transformer_lens(at):
    assert agrees(lens_logits, *of_options(at)) == in_lens(OPTIONS[at])


@pytest.mark.parametrize("at", OPTIONS)
def test_every_option_in_pytorch(at):
    pytest.importorskip("torch")
    assert agrees(torch_logits, *of_options(at))


@pytest.mark.filterwarnings("ignore")
def test_transformer_lens_itself_has_the_logits():
    pytest.importorskip("transformer_lens")
    for word in FORMS:
        assert form_agrees(real_lens_logits, word) == form_agrees(lens_logits, word)
    for at, options in OPTIONS.items():
        assert agrees(real_lens_logits, *of_options(at)) == in_lens(options)


PERCEPTRONS = {
    **test_models.PERCEPTRONS,
    "last bias": MLP(width=5, mlp_width=7, unembed_biases=True, activation="leaky_relu"),
    "skip gated": MLP(
        mlp_width=7, layers=3, skip_connections=True, gated=True, biases=True,
        unembed_biases=False, token_inputs="one_hot", scaling="mean_field",
    ),
    "tied mean field": MLP(width=6, mlp_width=6, tied=True, scaling="mean_field"),
}  # fmt: skip


@pytest.mark.parametrize("task", [TINY.task, grokjax.Digits(limit=20)], ids=["tokens", "features"])
@pytest.mark.parametrize("name", PERCEPTRONS)
def test_perceptrons_in_pytorch(name, task):
    pytest.importorskip("torch")
    model = PERCEPTRONS[name]
    if model.tied and task.encoding == "features":
        pytest.skip("features have no embeddings")
    network = made(dataclasses.replace(TINY, task=task, model=model))
    table = network.dataset
    expected = reference.mlp_logits(network.model, network.params, table.inputs, table.n_classes)
    assert agrees(torch_logits, network, lambda: expected)


LEARNING = ["model: mlp tied", *(f"model: transformer {w}" for w in ("rotary", "peri", "places"))]


@pytest.mark.parametrize("word", LEARNING)
def test_a_module_learns_and_takes_its_file_back(tmp_path, word):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from grokjax.formats import torch_module

    network, logits = form(word), outputs(word)
    network.save(tmp_path / "net.safetensors", names="torch")
    _, about = files.read(tmp_path / "net.safetensors")
    kind = torch_module.MLP if isinstance(network.model, MLP) else torch_module.Transformer
    module = kind(**json.loads(about["settings"])).double()
    module.load_state_dict(load_file(tmp_path / "net.safetensors"))
    found = module(torch.tensor(network.dataset.inputs).long())
    np.testing.assert_allclose(found.detach(), logits, atol=1e-12)
    found.square().sum().backward()
    learned = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    sinusoids = {"position"} if network.model.values().get("positions") == "sinusoidal" else set()
    assert module.state_dict().keys() - learned.keys() == sinusoids
    assert all(bool(gradient.isfinite().all()) for gradient in learned.values())


def test_what_could_only_be_a_gain_is_refused():
    """The factor of µP on scores, where queries are normalised and have none."""
    model = dataclasses.replace(TINY.model, scaling="mup", qk_norm=True, norm_gains=False)
    network = made(dataclasses.replace(TINY, model=model))
    with pytest.raises(ConfigError, match=r"^model\.norm_gains=False: the PyTorch module cannot"):
        network.to_torch()


def test_files_for_other_programs_are_written_without_them(tmp_path, monkeypatch):
    for package in ("torch", "transformer_lens"):
        monkeypatch.setitem(sys.modules, package, None)
    network, expected = form("model: mlp mup"), outputs("model: mlp mup")
    network.save(tmp_path / "net.npz", names="torch")
    arrays, about = files.read(tmp_path / "net.npz")
    settings = json.loads(about["settings"])
    hot = np.eye(settings["vocabulary"])[network.dataset.inputs].reshape(25, -1)
    found = np.maximum(hot @ arrays["hidden.0.weight"].T, 0) @ arrays["unembed.weight"].T
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(ConfigError, match="PyTorch is not installed, pip install 'grokjax"):
        network.to_torch()
    network, expected = form("model: transformer"), outputs("model: transformer")
    network.save(tmp_path / "net.safetensors", names="transformer_lens")
    arrays, about = files.read(tmp_path / "net.safetensors")
    found = hooked.logits(json.loads(about["settings"]), arrays, network.dataset.inputs)
    np.testing.assert_allclose(found[:, -1], expected, atol=1e-12)
    with pytest.raises(ConfigError, match="transformer_lens: it is not installed, pip install"):
        lens.Lens({}, arrays, "last").model()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Later(Transformer):
    """A transformer with an option that came after the formats."""

    gate: float | None = traced(None)


REFUSED = {
    "model.norm='post'": {"norm": "post"},
    "model.final_norm=False": {"norm": "pre"},
    "model.norm='peri'": {"norm": "peri"},
    "model.final_norm=True": {"final_norm": True},
    "model.activation='square'": {"activation": "square"},
    "model.activation='leaky_relu'": {"activation": "leaky_relu"},
    "model.biases=True": {"gated": True, "biases": True},
    "model.qk_norm=True": {"qk_norm": True},
    "model.value_norm=True": {"value_norm": True},
    "model.rotary_base=12.5": {"positions": "rotary", "rotary_base": 12.5},
    "model.attention_rate=0.25": {"attention_rate": 0.25},
    "model='mlp'": MLP(mlp_width=4, token_inputs="one_hot"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_transformer_lens_has_not_is_refused_by_its_field(sentence):
    model = REFUSED[sentence]
    model = dataclasses.replace(TINY.model, **model) if isinstance(model, dict) else model
    network = made(dataclasses.replace(TINY, model=model))
    with pytest.raises(ConfigError, match=rf"^{re.escape(sentence)}: .*network\.to_torch"):
        network.to_transformer_lens()


def test_an_option_that_a_format_does_not_know_is_refused(tmp_path):
    model = Later(width=8, heads=2, mlp_width=12)
    network = made(dataclasses.replace(TINY, model=model))
    network.save(tmp_path / "net.npz", names="torch")  # at its default it changes nothing
    run = dataclasses.replace(network.run, model=dataclasses.replace(model, gate=0.5))
    gated = dataclasses.replace(network, run=run)
    for names in ("torch", "transformer_lens"):
        with pytest.raises(ConfigError, match=r"^model\.gate=0\.5: .* cannot express it, take"):
            gated.save(tmp_path / "net.npz", names=names)
    extra = {**network.params, "gate_0": {"weight": np.ones((8, 8))}}
    for names in ("torch", "transformer_lens"):
        with pytest.raises(ConfigError, match=r"^params='gate_0/weight': .* cannot express it"):
            dataclasses.replace(network, params=extra).save(tmp_path / "net.npz", names=names)


def test_a_path_or_names_that_cannot_be_are_refused(tmp_path):
    network = form("model: transformer")
    with pytest.raises(ConfigError, match=r"end it in \.safetensors or \.npz"):
        network.save(tmp_path / "net.pt")
    with pytest.raises(ConfigError, match="choose from 'grokjax', 'torch', 'transformer_lens'"):
        network.save(tmp_path / "net.npz", names="keras")
    with pytest.raises(ConfigError, match="No such file or directory, give another"):
        network.save(tmp_path / "nowhere" / "net.npz")
