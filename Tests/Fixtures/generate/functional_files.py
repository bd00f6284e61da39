"""`.keras` files of functional models as Keras writes them, and what the models in them answer: functional_files.json, as
keras_files.py has it, and several_files.json for a model with several inputs and outputs.
"""

import model_records
from fixture import Fixture, tensor
from model_records import FILES

import keras
import numpy as np

L = keras.layers
fixture = Fixture("functional_files")
rng = np.random.default_rng(6)


def add(name, model, inputs):
    model_records.add(fixture, rng, name, model, inputs)


# A residual block, `+` on tensors, a shared layer, a nested functional model used twice and a nested Sequential.
inner_in = keras.Input((6,), name="inner")
inner = keras.Model(inner_in, L.Dense(6, activation="tanh", name="z")(L.Dense(4, activation="gelu", name="a")(inner_in)),
                    name="encoder")
x = keras.Input((8,), name="x")
h = L.Dense(6, activation="relu")(x)
shared = L.Dense(6, name="shared")
joined = L.Add()([shared(h), h])
more = shared(L.BatchNormalization()(joined)) + h
twice = L.Concatenate()([inner(more), inner(h), keras.Sequential([L.Dense(2), L.LayerNormalization()], name="tail")(more)])
y = L.Dense(3, activation="softmax")(twice)
add("functional", keras.Model(x, y, name="graph"), rng.standard_normal((8, 8)).astype("float32"))

# Numbers through an embedding with a mask, and a layer in a wrapper.
tokens = keras.Input((5,), dtype="int32")
e = L.Embedding(40, 4, mask_zero=True)(tokens)
t = L.TimeDistributed(L.Dense(3, activation="relu"))(e)
s = L.SpectralNormalization(L.Dense(4))(L.Flatten()(t))
add("functional-sequence", keras.Model(tokens, L.Dense(3, activation="softmax")(s)), (np.arange(40) * 7 % 40).reshape(8, 5).astype("int32"))
# Every number occurs once: with repeated ones Keras' Adam on TensorFlow makes another step of the embedding.
fixture.write()

keras.Model(x, keras.ops.reshape(L.Dense(2)(x), (-1, 1, 2))).save(FILES / "refused-operation.keras")

# Two inputs, two outputs, losses and weights by name.
several = Fixture("several_files")
a, b = keras.Input((4,), name="a"), keras.Input((3, 2), name="b")
flat = L.Flatten()(b)
both = L.Concatenate()([L.Dense(5, activation="relu", name="left")(a), flat])
model = keras.Model([a, b], [L.Dense(3, activation="softmax", name="kind")(both), L.Dense(1, name="size")(both)], name="two")
keras.utils.set_random_seed(4)
model.compile(optimizer=keras.optimizers.SGD(0.1), loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
              loss_weights={"kind": 1.0, "size": 0.25}, metrics={"kind": ["accuracy"], "size": ["mae"]})
inputs = [rng.standard_normal((8, 4)).astype("float32"), rng.standard_normal((8, 3, 2)).astype("float32")]
labels = [(np.arange(8) % 3).astype("int32"), rng.standard_normal((8, 1)).astype("float32")]
model.save(FILES / "functional-several.keras")
values = {"inputs": [tensor(i) for i in inputs], "labels": [tensor(t) for t in labels],
          "outputs": [tensor(o) for o in model.predict(inputs, verbose=0)],
          "weights": [tensor(w) for w in model.get_weights()]}
values["logs"] = {k: float(v) for k, v in model.evaluate(inputs, labels, verbose=0, return_dict=True).items()}
model.train_on_batch(inputs, labels)
values["after"] = [tensor(w) for w in model.get_weights()]
several.add(name="functional-several", **values)
several.write()
