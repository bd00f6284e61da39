"""`.keras` files as Keras writes them, and what the models in them answer: Tests/Fixtures/files/*.keras, keras_files.json.

Each model was trained for a few steps, so that its optimizer has a state; `after` are the weights after one more step on
`input` and `labels`. `state` are the optimizer's variables in the file.
"""

# Names count on within a run, so a new case comes last.
import json
import zipfile

from fixture import FOLDER, Fixture, tensor

import keras
import numpy as np

L = keras.layers
FILES = FOLDER / "files"
FILES.mkdir(exist_ok=True)
fixture = Fixture("keras_files")
rng = np.random.default_rng(5)


def add(name, model, shape, classes=3, steps=3, optimizer=None, loss="sparse_categorical_crossentropy", **options):
    keras.utils.set_random_seed(3)
    labels = (np.arange(8) * 5 % classes).astype("int32")
    if classes == 1:
        labels = rng.standard_normal((8, 1)).astype("float32")
    inputs = rng.standard_normal((8, *shape)).astype("float32")
    model.compile(optimizer=optimizer or keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    if options.pop("fit", False):
        model.fit(inputs, labels, batch_size=8, epochs=steps, verbose=0)
    else:
        for _ in range(steps):
            model.train_on_batch(inputs, labels)
    for weight in model.weights:  # also those that start as zeros
        weight.assign(weight + 0.01 * rng.standard_normal(weight.shape).astype("float32"))
    model.save(FILES / f"{name}.keras")
    values = {"input": tensor(inputs), "labels": tensor(labels), "output": tensor(model.predict(inputs, verbose=0))}
    values["weights"] = [tensor(w) for w in model.get_weights()]
    values["state"] = [tensor(v.numpy()) for v in model.optimizer.variables]
    # Dropout's numbers are Keras' own: the step after is compared where there is none.
    if not any(isinstance(layer, L.Dropout) for layer in model.layers):
        values["loss"] = float(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
        values["after"] = [tensor(w) for w in model.get_weights()]
    fixture.add(name=name, **values, **options)


def edit(source, target, change):
    """A copy of a file whose configuration was changed."""
    with zipfile.ZipFile(FILES / source) as old, zipfile.ZipFile(FILES / target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(zipfile.ZipInfo(member), data)


add("all-layers", keras.Sequential([
    keras.Input((4, 4)), L.Rescaling(0.5, offset=0.1), L.Flatten(), L.Dense(6, activation="relu", name="first"),
    L.LeakyReLU(), L.Reshape((2, 3)), L.PReLU(shared_axes=[1]), L.Dense(4, kernel_regularizer="l2"), L.ELU(alpha=0.7),
    L.Reshape((-1,)), L.Dropout(0.25), L.Dense(5, use_bias=False, kernel_initializer="he_normal"), L.ReLU(max_value=6.0),
    L.Activation("tanh"), L.Dense(3, kernel_constraint=keras.constraints.MaxNorm(2)), L.Softmax(),
], name="everything"), (4, 4))

# No Input: Keras writes the batch size of `fit` into the file.
add("unspecified-input", keras.Sequential([L.Dense(5, activation="relu"), L.Dense(3, activation="softmax")]), (4,), fit=True)

add("nested", keras.Sequential([
    keras.Input((4,)), keras.Sequential([L.Dense(5, activation="relu"), L.Dense(4)]), L.Dense(3, activation="softmax"),
]), (4,))

O = keras.optimizers
for name, optimizer in {
    "sgd": O.SGD(0.1, momentum=0.9, nesterov=True), "amsgrad": O.Adam(0.01, amsgrad=True), "adamw": O.AdamW(0.01),
    "rmsprop": O.RMSprop(0.01, momentum=0.5, centered=True), "adagrad": O.Adagrad(0.1),
    "schedule": O.Adam(O.schedules.ExponentialDecay(0.05, decay_steps=2, decay_rate=0.5)),
    "everything": O.Adam(0.01, use_ema=True, gradient_accumulation_steps=2, clipnorm=1.0, weight_decay=0.01),
}.items():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh"), L.Dense(1)])
    add(f"optimizer-{name}", model, (4,), classes=1, optimizer=optimizer, loss="mse")

frozen = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="relu", trainable=False), L.Dense(1)])
add("frozen", frozen, (4,), classes=1, loss=keras.losses.MeanAbsoluteError(reduction="sum"))

# What must be refused, or read with a warning.
lambda_model = keras.Sequential([keras.Input((4,)), L.Lambda(lambda x: x + 1), L.Dense(2)])
lambda_model.save(FILES / "refused-lambda.keras")


@keras.saving.register_keras_serializable("mine")
class Twice(L.Layer):
    def call(self, x):
        return x * 2


keras.Sequential([keras.Input((4,)), Twice(), L.Dense(2)]).save(FILES / "refused-custom.keras")


def layer(config, index):
    return config["config"]["layers"][index]


edit("unspecified-input.keras", "warned-key.keras", lambda c: layer(c, 1)["config"].update(future=7))
edit("unspecified-input.keras", "warned-loss.keras", lambda c: c["compile_config"].update(loss="quadruplet"))
edit("optimizer-sgd.keras", "warned-state.keras",
     lambda c: c["compile_config"]["optimizer"]["config"].update(momentum=0.0))
edit("unspecified-input.keras", "refused-policy.keras", lambda c: layer(c, 1)["config"].update(dtype="int8_from_float32"))
edit("unspecified-input.keras", "refused-units.keras", lambda c: layer(c, 1)["config"].update(units=6))
edit("unspecified-input.keras", "refused-huge.keras", lambda c: layer(c, 1)["config"].update(units=1 << 60))
edit("unspecified-input.keras", "refused-type.keras", lambda c: layer(c, 1)["config"].update(units="many"))
edit("unspecified-input.keras", "refused-class.keras", lambda c: layer(c, 1).update(class_name="Desne"))
edit("unspecified-input.keras", "refused-missing.keras", lambda c: layer(c, 1)["config"].pop("units"))

# As the torch backend names its optimizer, as Keras up to 3.3 wrote dtypes, and without what may be missing.
def variant(config):
    config["compile_config"]["optimizer"].update(module="keras.src.backend.torch.optimizers.torch_adam", registered_name="Adam")
    for entry in config["config"]["layers"][1:]:
        entry["config"]["dtype"] = "float32"
        entry["config"].pop("kernel_constraint")
        entry["config"].pop("use_bias")
        entry.pop("build_config")
    config["config"]["layers"].pop(0)


edit("unspecified-input.keras", "variant.keras", variant)
fixture.write()
