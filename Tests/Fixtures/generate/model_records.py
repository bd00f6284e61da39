"""What the generators of `.keras` files share: a model is trained a little and saved; the case has what it answers then."""

from fixture import FOLDER, tensor

import keras
import numpy as np

FILES = FOLDER / "files"


def add(fixture, rng, name, model, inputs, classes=3, optimizer=None):
    """Saves `model` as NAME.keras; the case has its predictions, weights and optimizer's state, and the next step's loss and weights."""
    keras.utils.set_random_seed(3)
    labels = (np.arange(len(inputs)) * 5 % classes).astype("int32")
    model.compile(optimizer=optimizer or keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        model.train_on_batch(inputs, labels)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.01 * rng.standard_normal(weight.shape).astype("float32"))
    model.save(FILES / f"{name}.keras")
    values = {"input": tensor(inputs), "labels": tensor(labels), "output": tensor(model.predict(inputs, verbose=0))}
    values["weights"] = [tensor(w) for w in model.get_weights()]
    values["state"] = [tensor(v.numpy()) for v in model.optimizer.variables]
    values["loss"] = float(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
    values["after"] = [tensor(w) for w in model.get_weights()]
    fixture.add(name=name, **values)
