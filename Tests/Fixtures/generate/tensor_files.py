"""Tensor files as NumPy and safetensors write them, and weights as Keras does: Tests/Fixtures/files/tensors.*, *.npy,
weights.*, legacy.h5, with what Keras' models answer in weight_files.json.

Element i of every tensor, in row-major order, is i modulo 100 (i modulo 2 for bool).
"""

from fixture import FOLDER, Fixture, tensor

import keras
import ml_dtypes
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

FILES = FOLDER / "files"
DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def values(shape, dtype):
    count = int(np.prod(shape))
    return (np.arange(count) % (2 if dtype == "bool" else 100)).astype(dtype).reshape(shape)


arrays = {f"types.{dtype}": values((3, 5), dtype) for dtype in DTYPES}
arrays |= {"scalar": np.array(7, "float32"), "empty": np.zeros((0, 3), "float32"), "rank5": values((1, 2, 3, 2, 1), "int32")}
tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
tensors["types.bfloat16"] = torch.from_numpy(values((3, 5), "float32")).to(torch.bfloat16)
safetensors.torch.save_file(tensors, FILES / "tensors.safetensors", metadata={"format": "pt"})
safetensors.numpy.save_file({"x": np.zeros(3, "uint16")}, FILES / "refused-dtype.safetensors")
np.savez(FILES / "tensors.npz", **arrays)
np.savez_compressed(FILES / "deflated.npz", **arrays)
np.save(FILES / "matrix.npy", values((3, 5), "float32"))
np.save(FILES / "fortran.npy", np.asfortranarray(values((3, 5, 2), "int16")))
with open(FILES / "version2.npy", "wb") as file:
    np.lib.format.write_array(file, values((3, 5), "float64"), version=(2, 0))
np.save(FILES / "refused-objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
np.save(FILES / "refused-order.npy", values((3,), ">f4"))
np.save(FILES / "refused-structure.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
np.save(FILES / "refused-half.npy", np.zeros(2, ml_dtypes.bfloat16))

fixture = Fixture("weight_files")
L = keras.layers
rng = np.random.default_rng(11)


def add(name, model, shape, save):
    keras.utils.set_random_seed(3)
    labels = (np.arange(8) * 5 % 3).astype("int32")
    inputs = rng.standard_normal((8, *shape)).astype("float32")
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        model.train_on_batch(inputs, labels)
    save(model)
    fixture.add(
        name=name, input=tensor(inputs), labels=tensor(labels), output=tensor(model.predict(inputs, verbose=0)),
        weights=[tensor(w) for w in model.get_weights()], state=[tensor(v.numpy()) for v in model.optimizer.variables],
        loss=float(model.train_on_batch(inputs, labels, return_dict=True)["loss"]),
        after=[tensor(w) for w in model.get_weights()])


def network():
    return keras.Sequential([
        keras.Input((4,)), L.Dense(5, activation="relu", name="first", kernel_regularizer="l2"),
        keras.Sequential([L.Dense(4), L.LeakyReLU(0.1), L.Dense(5, use_bias=False)]), L.PReLU(), L.Dense(3, activation="softmax"),
    ])


add("weights.weights.h5", network(), (4,), lambda model: model.save_weights(FILES / "weights.weights.h5"))
add("legacy.h5", network(), (4,), lambda model: model.save(FILES / "legacy.h5"))
fixture.write()
