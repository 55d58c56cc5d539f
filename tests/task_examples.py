"""A small configuration of every kind of task, for tests that look at all of them."""

import gzip
import struct
import tempfile
from pathlib import Path

import numpy as np

from grokjax.config.boolean import Conjunction, Majority, SparseParity
from grokjax.config.groups import FiniteGroup
from grokjax.config.images import MNIST, Digits
from grokjax.config.modular import ModularArithmetic
from grokjax.config.operation import Operation, Operations
from grokjax.config.regression import PolynomialRegression, TeacherStudent
from grokjax.config.rows import Table
from grokjax.config.sequences import Reachability, RegisterProgram, Sequence, TwoHop


def idx_bytes(array):
    """An array of bytes in MNIST's format."""
    header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def fake_mnist(folder, n=60, packed=False):
    """Files as MNIST's in `folder`, of noise; returns pictures [n, 28, 28] and labels [n]."""
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(256, size=(n, 28, 28)), rng.integers(10, size=n)
    files = {"train-images-idx3-ubyte": pictures, "train-labels-idx1-ubyte": labels}
    for name, array in files.items():
        if packed:
            (Path(folder) / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (Path(folder) / name).write_bytes(idx_bytes(array))
    return pictures, labels


_kept = tempfile.TemporaryDirectory()
fake_mnist(_kept.name)

EXAMPLES = {
    task.kind: task
    for task in [
        ModularArithmetic("sub", p=7),
        FiniteGroup("S3"),
        SparseParity(n_bits=10, k_bits=3, samples=100),
        Majority(n_bits=7, samples=None, bits="tokens"),
        Conjunction(n_bits=9, k_bits=2, samples=101, bits="tokens"),
        PolynomialRegression(n_inputs=3, degree=3, samples=90, noise_std=0.1),
        TeacherStudent(teacher="relu", n_inputs=4, teacher_units=3, samples=80),
        Digits(limit=70),
        MNIST(_kept.name, limit=50),
        Sequence("reverse", symbols=3, length=4),
        Reachability(nodes=4, samples=120),
        RegisterProgram(instructions=2, modulus=3, samples=90),
        TwoHop(entities=8, relations=5, out_degree=3),
        Operation("(x*y + z) % p", p=4, where="x != y", format="op a b c"),
        Operations([Operation("gcd(x, y)", p=6), ModularArithmetic("mul", p=5)]),
        Table([[a, b] for a in range(5) for b in range(6)], [a % 3 for a in range(30)]),
    ]
}
"""Kind → task of tens to a few hundred rows."""

DRAWN = {
    kind: task
    for kind, task in EXAMPLES.items()
    if hasattr(task, "table_seed") and kind not in ("modular_arithmetic", "majority", "sequence")
}
"""Those in which chance has a part."""
DRAWN["modular_arithmetic"] = ModularArithmetic("random", p=7)
DRAWN["majority"] = Majority(n_bits=7, samples=50)
DRAWN["sequence"] = Sequence("sort", symbols=3, length=4, samples=30)
