"""The guide's program followed for 200 training steps from the same weights on the same batches: Keras' losses.

640 rows of the MNIST training set are stored with the fixture, with the order in which the batches take them. Each case
has the losses in float32 (to compare against) and the same run in float64 (what float32 rounding alone changes).
"""

import os
import pathlib

from fixture import Fixture, tensor

import keras
import numpy as np

ROWS, BATCH, STEPS, SEED = 640, 64, 200, 3
# scripts/fetch-data mnist puts them there.
mnist = pathlib.Path(os.environ.get("BACKPROP_DATA", pathlib.Path.home() / ".cache/backprop")) / "mnist"
images = np.fromfile(mnist / "train-images-idx3-ubyte", "uint8", count=ROWS * 784, offset=16).reshape(ROWS, 784)
labels = np.fromfile(mnist / "train-labels-idx1-ubyte", "uint8", count=ROWS, offset=8)
rng = np.random.default_rng(SEED)
passes = STEPS * BATCH // ROWS
order = np.concatenate([rng.permutation(ROWS) for _ in range(passes)]).astype("int32").reshape(STEPS, BATCH)


def build():
    model = keras.Sequential([
        keras.Input((784,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax")])
    return model


keras.utils.set_random_seed(SEED)
start = build().get_weights()
# Biases that aren't zero, so that a bias that is forgotten or misplaced shows in the first loss.
start = [w if w.ndim > 1 else rng.uniform(-0.1, 0.1, w.shape).astype("float32") for w in start]


def run(optimizer, loss, floatx, batches=order, **compile_arguments):
    keras.backend.clear_session()
    keras.config.set_floatx(floatx)
    model = build()
    model.set_weights(start)
    kind, arguments = optimizer
    model.compile(optimizer=getattr(keras.optimizers, kind)(**arguments), loss=loss, metrics=["accuracy"],
                  **compile_arguments)
    x = images.astype(floatx) / np.array(255, floatx)
    y = labels.astype("int32") if loss.startswith("sparse") else np.eye(10, dtype=floatx)[labels]
    losses, accuracies = [], []
    for rows in batches:
        model.reset_metrics()  # else train_on_batch returns the mean over the steps so far
        batch_loss, accuracy = model.train_on_batch(x[rows], y[rows])
        losses.append(batch_loss)
        accuracies.append(accuracy)
    return np.array(losses, floatx), np.array(accuracies, "float32"), model


CASES = [
    ("adam", ("Adam", {}), "sparse_categorical_crossentropy"),
    ("sgd momentum", ("SGD", {"learning_rate": 0.01, "momentum": 0.9}), "sparse_categorical_crossentropy"),
    ("rmsprop", ("RMSprop", {}), "sparse_categorical_crossentropy"),
    ("adamw", ("AdamW", {}), "sparse_categorical_crossentropy"),
    ("adam mse", ("Adam", {}), "mean_squared_error"),
    ("adam one-hot", ("Adam", {}), "categorical_crossentropy"),
]


def main():
    fixture = Fixture("trajectories")
    fixture.fact(
        network="784 - Dense 64 relu - Dense 64 relu - Dense 10 softmax; inputs are image / 255 in float32", batch=BATCH,
        steps=STEPS, images=tensor(images), labels=tensor(labels), order=tensor(order), weights=[tensor(w) for w in start])
    for name, optimizer, loss in CASES:
        losses, accuracies, model = run(optimizer, loss, "float32")
        exact, _, exact_model = run(optimizer, loss, "float64")
        final = [{"path": v.path, "shape": list(v.shape), "norm": float(np.linalg.norm(v.numpy().astype("float64"))),
                  "sum": float(v.numpy().astype("float64").sum()), "first": tensor(v.numpy().reshape(-1)[:32])}
                 for v in model.weights]
        fixture.add(name=name, optimizer=optimizer[0], arguments=optimizer[1], loss=loss, losses=tensor(losses),
                    losses_float64=tensor(exact), accuracies=tensor(accuracies), weights=final)
        relative = np.abs(losses - exact) / exact
        print(f"{name}: loss {losses[0]:.4f} … {losses[-1]:.4f}; float32 differs from float64 by at most "
              f"{relative.max():.1e} (step {relative.argmax()}), in the first 100 {relative[:100].max():.1e}")
    fixture.write()


if __name__ == "__main__":
    main()
