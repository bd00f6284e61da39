"""Whole networks followed for 30 training steps from the same start on the same batches.

Each case has the losses of all steps in float64 (Keras' floatx), where a difference is a mistake and not rounding, and of
the first step in float32 the loss and its gradients. Numbers that Keras would draw are made by `noise` instead, here and in
the tests, so that a network of any size costs little: a fixture holds what comes out, not what goes in.

Another network is another function below with the decorator, and one of the same name in NetworkTrajectoryTests.swift.
"""

from fixture import Fixture, tensor

import keras
import numpy as np
import tensorflow as tf

STEPS = 30
# Gradients of networks with more weights are stored with gaps.
GRADIENT_ELEMENTS = 20_000
L = keras.layers
NETWORKS = {}


def network(rows, loss, optimizer="Adam", **arguments):
    """`build()` makes the model; its attributes `data` and `labels` are functions of `rows`, the rows of all steps."""

    def keep(build):
        build.rows = rows
        NETWORKS[build.__name__] = (build, rows, loss, optimizer, arguments)
        return build

    return keep


def noise(shape, seed, scale=1.0, offset=0.0):
    """Numbers in offset ± scale from a hash of their place: float32, the same in Swift (`noise` there)."""
    x = np.arange(int(np.prod(shape)), dtype="uint64") + np.uint64(seed * 0x9E3779B1)
    x = (x ^ (x >> np.uint64(16))) * np.uint64(0x85EBCA6B) & np.uint64(0xFFFFFFFF)
    x = (x ^ (x >> np.uint64(13))) * np.uint64(0xC2B2AE35) & np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(16))
    return ((x.astype("float64") / 2**31 - 1) * scale + offset).astype("float32").reshape(shape)


def start(weight):
    """Scale and offset of the numbers that a weight starts with: kernels by their inputs, nothing exactly 0 or 1."""
    name = weight.name
    if name in ("gamma", "moving_variance"):
        return 0.2, 1.0
    if len(weight.shape) < 2:
        return 0.1, 0.0
    inputs = int(np.prod(weight.shape[:-1])) if name != "embeddings" else weight.shape[-1]
    return float(np.float32((3 / inputs) ** 0.5)), 0.0


# MARK: Networks


@network(rows=8, loss="sparse_categorical_crossentropy", learning_rate=0.01)
def bidirectional_lstm():
    """Embedding with a mask, a bidirectional LSTM, a classifier."""
    x = keras.Input((12,), dtype="int32")
    h = L.Embedding(200, 8, mask_zero=True)(x)
    h = L.Bidirectional(L.LSTM(6))(h)
    return keras.Model(x, L.Dense(3, activation="softmax")(h))


def tokens(rows):
    """Texts of several lengths with zeros after them, and no number twice in a batch: with repeated ones Keras' Adam on
    TensorFlow adds up squares where others square the sum (Documentation/Decisions.md)."""
    rng = np.random.default_rng(5)
    result = np.zeros((rows, 12), "int32")
    for first in range(0, rows, 8):
        batch = rng.permutation(199)[:96].reshape(8, 12) + 1
        for row, length in enumerate(rng.integers(1, 13, 8)):
            batch[row, length:] = 0
        result[first:first + 8] = batch
    return result


bidirectional_lstm.data = tokens
bidirectional_lstm.labels = lambda rows: (np.arange(rows) * 7 % 11 % 3).astype("int32")


class Positions(L.Layer):
    """A trained vector for each place of a sequence."""

    def build(self, shape):
        self.vectors = self.add_weight(name="vectors", shape=shape[1:])

    def call(self, x):
        return x + self.vectors


@network(rows=2, loss="sparse_categorical_crossentropy", learning_rate=0.01)
def causal_transformer():
    """Four blocks of causal attention, each a part of the sum that goes through all of them; every step foretells the next."""
    x = keras.Input((8,), dtype="int32")
    h = Positions()(L.Embedding(20, 16)(x))
    for _ in range(4):
        n = L.LayerNormalization()(h)
        h = L.Add()([h, L.MultiHeadAttention(4, 4, use_bias=False)(n, n, use_causal_mask=True)])
        wide = L.Dense(64, activation="gelu", use_bias=False)(L.LayerNormalization()(h))
        h = L.Add()([h, L.Dense(16, use_bias=False)(wide)])
    return keras.Model(x, L.Dense(20, activation="softmax", use_bias=False)(L.LayerNormalization()(h)))


def characters(rows):
    """No number twice in a batch, as in `tokens`."""
    rng = np.random.default_rng(6)
    return np.concatenate([rng.permutation(20)[:16].reshape(2, 8) for _ in range(rows // 2)]).astype("int32")


causal_transformer.data = characters
causal_transformer.labels = lambda rows: (characters(rows) * 3 + 1) % 20


def classes(rows):
    return (np.arange(rows) * 7 % 11 % 10).astype("int32")


def images(shape):
    """Each row its class' picture with noise over it; computed in Swift as well (`images` there)."""
    return lambda rows: noise((rows, *shape), 100, 0.5) + noise((10, *shape), 101)[classes(rows)]


class Kept(L.Layer):
    """Dropout with a rate of a half whose mask is a part of the network, the same at each step."""

    def compute_output_shape(self, shape):
        return shape

    def call(self, x, training=False):
        kept = np.where(noise((convnet.rows, x.shape[1]), 102) > 0, 2.0, 0.0)
        return x * keras.ops.convert_to_tensor(kept, x.dtype) if training else x


@network(rows=4, loss="sparse_categorical_crossentropy")
def convnet():
    """Keras' example for MNIST."""
    return keras.Sequential([
        keras.Input((28, 28, 1)), L.Conv2D(32, 3, activation="relu"), L.MaxPooling2D(2),
        L.Conv2D(64, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), Kept(), L.Dense(10, activation="softmax")])


convnet.data, convnet.labels = images((28, 28, 1)), classes


@network(rows=4, loss="sparse_categorical_crossentropy")
def resnet20():
    """ResNet-20 (He et al., 2016) on images of half the usual width and height: float64 has no fast kernels."""

    def convolution(x, width, size, stride=1):
        return L.BatchNormalization()(L.Conv2D(width, size, stride, padding="same", use_bias=False)(x))

    image = keras.Input((16, 16, 3))
    x = L.ReLU()(convolution(image, 16, 3))
    for stage, width in enumerate((16, 32, 64)):
        for number in range(3):
            stride = 2 if stage and number == 0 else 1
            y = convolution(L.ReLU()(convolution(x, width, 3, stride)), width, 3)
            x = L.ReLU()(L.Add()([y, convolution(x, width, 1, stride) if stride > 1 else x]))
    return keras.Model(image, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


resnet20.data, resnet20.labels = images((16, 16, 3)), classes


# MARK: Running them


def made(build, loss, optimizer, arguments, floatx):
    keras.backend.clear_session()
    keras.config.set_floatx(floatx)
    model = build()
    for seed, weight in enumerate(model.weights):
        scale, offset = start(weight)
        weight.assign(noise(weight.shape, seed + 1, scale, offset).astype(floatx))
    model.compile(optimizer=getattr(keras.optimizers, optimizer)(**arguments), loss=loss)
    return model


def main():
    fixture = Fixture("networks")
    for name, (build, rows, loss, optimizer, arguments) in NETWORKS.items():
        data, labels = build.data(STEPS * rows), build.labels(STEPS * rows)
        as_floatx = lambda a, floatx: a.astype(floatx) if a.dtype.kind == "f" else a  # noqa: E731
        model = made(build, loss, optimizer, arguments, "float64")
        starts = [{"path": w.path, "shape": list(w.shape), "scale": start(w)[0], "offset": start(w)[1]} for w in model.weights]
        losses = []
        for step in range(STEPS):
            model.reset_metrics()
            batch = slice(step * rows, (step + 1) * rows)
            losses.append(float(model.train_on_batch(as_floatx(data[batch], "float64"), as_floatx(labels[batch], "float64"))))

        single = made(build, loss, optimizer, arguments, "float32")
        with tf.GradientTape() as tape:
            value = single.compute_loss(y=tf.constant(labels[:rows]), y_pred=single(tf.constant(data[:rows]), training=True))
        gradients = [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(value, [w.value for w in single.trainable_weights])]
        gap = max(1, sum(g.size for g in gradients) // GRADIENT_ELEMENTS)
        stored = {"data": tensor(data)} if data.nbytes < 100_000 else {"data_shape": list(data.shape)}
        fixture.add(name=name, rows=rows, loss=loss, optimizer=optimizer, arguments=arguments, **stored, labels=tensor(labels), weights=starts,
                    losses_float64=tensor(np.array(losses)), loss_float32=float(value), gradient_gap=gap,
                    gradients_float32=[tensor(g.reshape(-1)[::gap]) for g in gradients])
        print(f"{name}: loss {losses[0]:.6f} … {losses[-1]:.6f}, in float32 first {float(value):.6f}")
    keras.config.set_floatx("float32")
    fixture.write()


if __name__ == "__main__":
    main()
