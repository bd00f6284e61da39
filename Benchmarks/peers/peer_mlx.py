"""MLX, its training step compiled."""

import functools
import time

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import peer


def epochs(arm, data):
    sizes, batch, rng = peer.SIZES["seed-mlp"], peer.BATCH["seed-mlp"], np.random.default_rng(0)
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    mx.eval(model.parameters())
    optimizer = mlx.optimizers.Adam(1e-3, bias_correction=True)
    state = [model.state, optimizer.state]
    loss_and_gradient = nn.value_and_grad(model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean"))

    @functools.partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, gradients = loss_and_gradient(x, y)
        optimizer.update(model, gradients)
        return loss

    x, y, samples = mx.array(data[0]), mx.array(data[1]), []
    for _ in range(3):  # it is by far the slowest
        start, order = time.perf_counter(), mx.array(rng.permutation(len(x)))
        for first in range(0, len(x) - batch + 1, batch):
            rows = order[first:first + batch]
            mx.eval(step(x[rows], y[rows]), state)
        samples.append(time.perf_counter() - start)
    guesses = np.array(mx.argmax(model(mx.array(data[2])), 1))
    return samples, (guesses == data[3]).mean()
