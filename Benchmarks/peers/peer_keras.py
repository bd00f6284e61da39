"""Keras on TensorFlow and on JAX, through fit and train_on_batch."""

import os
import time

import gpt_network
import image_networks
import peer
import recurrent_networks


def build(bench, arm):
    os.environ["KERAS_BACKEND"] = arm.split("-")[1]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    keras.utils.set_random_seed(0)
    if bench in peer.IMAGES or bench in peer.WORDS:
        model = recurrent_networks.build(bench, keras) if bench in peer.WORDS else getattr(image_networks, bench)(keras)
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        return keras, model
    if bench == "gpt":
        model = gpt_network.build(keras)
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        return keras, model
    inputs, *hidden, outputs = peer.SIZES[bench]
    last = "sigmoid" if bench == "autoenc" else "softmax"
    model = keras.Sequential([keras.Input((inputs,))] + [keras.layers.Dense(units, activation="relu") for units in hidden]
                             + [keras.layers.Dense(outputs, activation=last)])
    model.compile(optimizer="adam", loss="mse" if bench == "autoenc" else "sparse_categorical_crossentropy",
                  metrics=["accuracy"] if bench == "seed-mlp" else None)
    return keras, model


def epochs(arm, data):
    keras, model = build("seed-mlp", arm)
    samples = []

    class Stopwatch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            samples.append(time.perf_counter() - self.start)

    model.fit(data[0], data[1], epochs=peer.EPOCHS, batch_size=peer.BATCH["seed-mlp"], verbose=0, callbacks=[Stopwatch()])
    return samples, model.evaluate(data[2], data[3], verbose=0)[1]


def step(bench, arm):
    _, model = build(bench, arm)
    x, y = peer.random_batch(bench)
    return lambda: model.train_on_batch(x, y)


def first_step(arm):
    step("coldstart", arm)()
