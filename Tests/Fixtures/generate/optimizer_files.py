"""`.keras` files with the optimizers that keras_files.py leaves out, and with adapted layers: optimizer_files.json.

Each model was trained for a few steps, so that its optimizer has a state; `after` are the weights after one more step on
`input` and `labels`.
"""

from fixture import FOLDER, Fixture, tensor

import keras
import numpy as np

L, O = keras.layers, keras.optimizers
FILES = FOLDER / "files"
fixture = Fixture("optimizer_files")
rng = np.random.default_rng(6)



def add(name, model, optimizer, size=3):
    inputs = rng.standard_normal((8, size)).astype("float32")
    labels = rng.standard_normal((8, 1)).astype("float32")
    model.compile(optimizer=optimizer, loss="log_cosh", metrics=["r2_score", keras.metrics.AUC(num_thresholds=5)])
    for _ in range(3):
        model.train_on_batch(inputs, labels)
    model.save(FILES / f"{name}.keras")
    values = {"input": tensor(inputs), "labels": tensor(labels), "output": tensor(model.predict(inputs, verbose=0))}
    values["weights"] = [tensor(w) for w in model.get_weights()]
    values["state"] = [tensor(v.numpy()) for v in model.optimizer.variables]
    values["loss"] = float(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
    values["after"] = [tensor(w) for w in model.get_weights()]
    fixture.add(name=name, **values)


for name, optimizer in {
    "nadam": O.Nadam(0.01), "muon": O.Muon(0.01, exclude_layers=["dense_1"]), "adafactor": O.Adafactor(0.1, use_ema=True),
    "ftrl": O.Ftrl(0.1, l1_regularization_strength=0.01), "lamb": O.Lamb(0.01, gradient_accumulation_steps=2),
}.items():
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    add(f"optimizer-{name}", keras.Sequential([keras.Input((3,)), L.Dense(3, activation="tanh"), L.Dense(1)]), optimizer)

keras.backend.clear_session()
normalization, bins = L.Normalization(), L.Discretization(num_bins=3, output_mode="one_hot")
normalization.adapt(rng.standard_normal((30, 4)).astype("float32") * 2 + 1)
bins.adapt(rng.standard_normal(30).astype("float32"))
layers = [normalization, bins, L.Flatten(), L.Dense(1)]
add("adapted", keras.Sequential([keras.Input((4,)), *layers]), O.SGD(0.1), size=4)
fixture.write()
