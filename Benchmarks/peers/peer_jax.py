"""JAX: a jitted training step that gives its state away, and the whole epoch in one scan."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import peer

tree_map = jax.tree_util.tree_map


def start(bench):
    """Parameters, Adam's two moments and its step count."""
    sizes, glorot = peer.SIZES[bench], jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(jax.random.PRNGKey(0), len(sizes))
    parameters = [(glorot(key, shape), jnp.zeros(shape[1])) for key, shape in zip(keys, zip(sizes, sizes[1:]))]
    return parameters, tree_map(jnp.zeros_like, parameters), tree_map(jnp.zeros_like, parameters), jnp.float32(0)


def forward(parameters, x):
    *hidden, (weight, bias) = parameters
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return x @ weight + bias


def loss_of(bench):
    def squared_error(parameters, x, y):
        return jnp.mean((jax.nn.sigmoid(forward(parameters, x)) - y) ** 2)

    def crossentropy(parameters, x, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(parameters, x)), y[:, None], 1))

    return squared_error if bench == "autoenc" else crossentropy


def adam_step(bench):
    loss_and_gradient = jax.value_and_grad(loss_of(bench))

    def step(state, x, y):
        parameters, m, v, count = state
        loss, gradient = loss_and_gradient(parameters, x, y)
        count = count + 1
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        parameters = tree_map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), parameters, m, v)
        return (parameters, m, v, count), loss

    return step


def epochs(arm, data):
    batch, count = peer.BATCH["seed-mlp"], len(data[0])
    one_step, state, samples = adam_step("seed-mlp"), start("seed-mlp"), []
    if arm == "jax-scan":
        x, y = jnp.array(data[0]), jnp.array(data[1])

        @jax.jit
        def epoch(state, key):
            order = jax.random.permutation(key, count)[:count // batch * batch].reshape(-1, batch)
            return jax.lax.scan(lambda state, rows: one_step(state, x[rows], y[rows]), state, order)

        key = jax.random.PRNGKey(1)
        for _ in range(peer.EPOCHS):
            begin = time.perf_counter()
            key, now = jax.random.split(key)
            state, losses = epoch(state, now)
            losses.block_until_ready()
            samples.append(time.perf_counter() - begin)
    else:
        jitted, rng = jax.jit(one_step, donate_argnums=0), np.random.default_rng(0)
        for _ in range(peer.EPOCHS):
            begin, order = time.perf_counter(), rng.permutation(count)
            for first in range(0, count - batch + 1, batch):
                rows = order[first:first + batch]
                state, loss = jitted(state, data[0][rows], data[1][rows])
            loss.block_until_ready()
            samples.append(time.perf_counter() - begin)
    guesses = np.asarray(forward(state[0], data[2])).argmax(1)
    return samples, (guesses == data[3]).mean()


def step(bench, arm):
    x, y = map(jnp.array, peer.random_batch(bench))
    jitted, state = jax.jit(adam_step(bench), donate_argnums=0), start(bench)

    def train():
        nonlocal state
        state, loss = jitted(state, x, y)
        return float(loss)

    return train


def first_step(arm):
    step("coldstart", arm)()
