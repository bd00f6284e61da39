"""A case of a model's file: what Keras saved, and what the model in it answers before and after one more step."""

from fixture import FOLDER, tensor

import keras
import numpy as np


class ModelFiles:
    def __init__(self, fixture, rng):
        self.fixture, self.rng = fixture, rng

    def add(self, name, model, inputs, classes=3, optimizer=None, other=None):
        keras.utils.set_random_seed(3)
        labels = (np.arange(len(inputs)) * 5 % classes).astype("int32")
        model.compile(optimizer=optimizer or keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy",
                      metrics=["accuracy"])
        for _ in range(3):
            model.train_on_batch(inputs, labels)
        for weight in model.trainable_weights:
            weight.assign(weight + 0.01 * self.rng.standard_normal(weight.shape).astype("float32"))
        model.save(FOLDER / "files" / f"{name}.keras")
        values = {"input": tensor(inputs), "labels": tensor(labels), "output": tensor(model.predict(inputs, verbose=0))}
        values["weights"] = [tensor(w) for w in model.get_weights()]
        if other is not None:
            values |= {"other": tensor(other), "other_output": tensor(model.predict(other, verbose=0))}
        values["state"] = [tensor(v.numpy()) for v in model.optimizer.variables]
        values["loss"] = float(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
        values["after"] = [tensor(w) for w in model.get_weights()]
        self.fixture.add(name=name, **values)
