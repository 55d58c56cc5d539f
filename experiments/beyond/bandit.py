"""A contextual bandit: the operation's table again, but learnt from rewards instead of labels.

Question:     does a policy that is only told whether its action was right memorise first and
              generalise long after, as a classifier does, and does sampling its actions matter?
Command:      python -m grokjax.sweep experiments/beyond/bandit.py
Cost:         30 runs of at most 6,000 updates, about three minutes on two CPU cores.
Expectation:  exact policy gradients grok about as cross-entropy does; sampled ones later, because
              rows whose right action is improbable are hardly ever rewarded.

A context is a pair (a, b), an action one of p, and only the action a - b mod p has a reward of 1.
A network's outputs are the logits of its policy π. Losses are negative expected rewards, less an
entropy bonus; a row is right when the most probable action is.
"""

import jax
import jax.numpy as jnp

from grokjax import (
    MLP,
    AdamW,
    CrossEntropy,
    Experiment,
    ModularArithmetic,
    Thresholds,
    grid,
    own,
    traced,
)


def minus_value(logits, targets, entropy):
    """−(π(y) + β H(π)), the expected reward with the entropy in nats: `[..., C]` → `[...]`.

    Args:
      logits: of the policy `[..., C]`.
      targets: the action y that is rewarded `[...]`.
      entropy: β.
    """
    logs = jax.nn.log_softmax(logits)
    policy = jnp.exp(logs)
    rewards = jax.nn.one_hot(targets, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(policy * (entropy * logs - rewards), axis=-1)


@own.loss
def policy_gradient(logits, targets, *, entropy: float = traced(0.0)):
    """−Σ_a π(a) r(a) − β H(π): the gradient is that of the expected reward, without sampling."""
    return minus_value(logits, targets, entropy)


@own.loss(random=True)
def reinforce(logits, targets, key, *, samples: int = 4, entropy: float = traced(0.0)):
    """REINFORCE (Williams 1992): −(1/k) Σ_i (r_i − b_i) log π(a_i) − β H(π), k actions from π.

    The baseline b_i is the mean reward of the other draws (Kool et al. 2019), 0 for a single one.
    On average the gradient is that of `policy_gradient`, whose loss is the one that is recorded.
    """
    if key is None:
        return minus_value(logits, targets, entropy)
    actions = jax.random.categorical(key, logits, shape=(samples, *targets.shape))
    rewards = (actions == targets[None]).astype(logits.dtype)
    baselines = (rewards.sum(axis=0)[None] - rewards) / max(1, samples - 1)
    logs = jax.nn.log_softmax(logits)
    taken = jax.nn.one_hot(actions, logits.shape[-1], dtype=logits.dtype)
    log_taken = jnp.sum(taken * logs[None], axis=-1)
    surprise = jnp.sum(jnp.exp(logs) * logs, axis=-1)  # minus the entropy, whose gradient is exact
    return entropy * surprise - jnp.mean((rewards - baselines) * log_taken, axis=0)


experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=3e-3, weight_decay=1.0, b2=0.98),
    train_fraction=0.7,
    steps=6_000,
    log_every=20,
    settle_steps=400,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        loss=[
            CrossEntropy(),
            policy_gradient(),
            policy_gradient(entropy=0.1),
            reinforce(samples=4),
            reinforce(samples=4, entropy=0.1),
            reinforce(samples=1, entropy=0.1),
        ],
        seed=range(5),
    ),
)
