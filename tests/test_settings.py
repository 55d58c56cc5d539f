"""Settings of other people's experiments: batches, clipping, losses in half precision, and so on."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_numbers
from conftest import hparams

import grokjax
from grokjax.training import data, losses
from grokjax.training.spec import spec_of
