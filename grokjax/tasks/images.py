"""Pictures of handwritten digits, their pixels as features."""

from __future__ import annotations

import numpy as np

from grokjax.config.coercion import ConfigError
from grokjax.config.images import MNIST, MNIST_FILES, Digits, idx_content, idx_path
from grokjax.tasks.dataset import Dataset, make_dataset


def picture_table(
    task: Digits | MNIST, pixels: np.ndarray, digits: np.ndarray, brightest: int
) -> Dataset:
    """The rows of a task, drawn from all pictures.

    Args:
      task: says how many to draw, and the seed.
      pixels: of all pictures [N, I], in 0 … brightest.
      digits: that the pictures show [N].
      brightest: value of a white pixel, which becomes 1.0.
    """
    chosen = np.random.default_rng(task.table_seed).permutation(len(digits))[: task.n_rows]
    return Dataset(
        inputs=pixels[chosen] / float(brightest),
        targets=digits[chosen].astype(np.int32),
        vocabulary=0,
        n_classes=10,
    )


@make_dataset.register
def digits(task: Digits) -> Dataset:
    """The 8×8 digits of scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigError(
            "task='digits': the pictures come with scikit-learn, pip install scikit-learn."
        ) from None
    pictures = load_digits()
    return picture_table(task, pictures.data, pictures.target, brightest=16)


@make_dataset.register
def mnist(task: MNIST) -> Dataset:
    """The 28×28 digits in the user's folder."""
    pictures, labels = (idx_content(idx_path(task.folder, name)) for name in MNIST_FILES)
    pixels = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28 * 28)
    return picture_table(task, pixels, np.frombuffer(labels, np.uint8, offset=8), brightest=255)
