"""The guide's program written out in NumPy: every product and every derivative by hand."""

import time

import numpy as np
import peer


def epochs(arm, data):
    x_all, y_all, x_test, y_test = data
    sizes, batch, rng = peer.SIZES["seed-mlp"], peer.BATCH["seed-mlp"], np.random.default_rng(0)
    limits = [np.sqrt(6 / (a + b)) for a, b in zip(sizes, sizes[1:])]
    weights = [rng.uniform(-l, l, s).astype("float32") for l, s in zip(limits, zip(sizes, sizes[1:]))]
    biases = [np.zeros(b, "float32") for b in sizes[1:]]
    parameters = weights + biases
    m, v = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    count, samples = 0, []
    f = np.float32

    def forward(x):
        h1 = np.maximum(x @ weights[0] + biases[0], 0)
        h2 = np.maximum(h1 @ weights[1] + biases[1], 0)
        return h1, h2, h2 @ weights[2] + biases[2]

    for _ in range(peer.EPOCHS):
        start, order = time.perf_counter(), rng.permutation(len(x_all))
        for first in range(0, len(x_all) - batch + 1, batch):
            rows = order[first:first + batch]
            x, y = x_all[rows], y_all[rows]
            h1, h2, z = forward(x)
            g = np.exp(z - z.max(1, keepdims=True))
            g /= g.sum(1, keepdims=True)
            g[np.arange(batch), y] -= 1
            g /= batch
            w2, b2 = h2.T @ g, g.sum(0)
            g = (g @ weights[2].T) * (h2 > 0)
            w1, b1 = h1.T @ g, g.sum(0)
            g = (g @ weights[1].T) * (h1 > 0)
            w0, b0 = x.T @ g, g.sum(0)
            count += 1
            rate = f(1e-3 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count))
            for p, m_, v_, g_ in zip(parameters, m, v, (w0, w1, w2, b0, b1, b2)):
                m_ *= f(0.9)
                m_ += f(0.1) * g_
                v_ *= f(0.999)
                v_ += f(0.001) * g_ * g_
                p -= rate * m_ / (np.sqrt(v_) + f(1e-7))
        samples.append(time.perf_counter() - start)
    return samples, (forward(x_test)[2].argmax(1) == y_test).mean()
