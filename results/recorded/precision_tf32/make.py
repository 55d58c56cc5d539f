"""The runs of experiments/precision.py with the operands of every linear map rounded to TF32.

A stand-in for `matmul_precision="default"` on a GPU where there is none: inputs, weights and
gradients keep 10 bits of mantissa, sums are float32. Command: python make.py OUT
"""

import dataclasses
import sys
from pathlib import Path

import jax

import grokjax
from grokjax import experiment_file
from grokjax.models import layers


def rounded(x):
    """To TF32: 8 bits of exponent, 10 of mantissa."""
    return jax.lax.reduce_precision(x, 8, 10)


@jax.custom_vjp
def product(x, weight):
    """x `[N, I]` · weight `[I, O]` of rounded operands."""
    return rounded(x) @ rounded(weight)


def backward(saved, gradient):
    """Both gradients are products of rounded operands too."""
    x, weight = saved
    return rounded(gradient) @ rounded(weight).T, rounded(x).T @ rounded(gradient)


product.defvjp(lambda x, weight: (product(x, weight), (x, weight)), backward)

if __name__ == "__main__":
    layers.product = product
    file = Path(__file__).parents[3] / "experiments" / "precision.py"
    experiment, _ = experiment_file.read(file)
    cells = [cell for cell in experiment.sweep.cells if cell["loss_dtype"] == "float32"]
    experiment = dataclasses.replace(experiment, sweep=cells)
    grokjax.run(experiment, sys.argv[1], report=lambda p: print(p.finished, p.activity, flush=True))
