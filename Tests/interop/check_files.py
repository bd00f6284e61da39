"""Opens the files that the suite `Files for h5py and Keras` wrote into a folder with h5py and Keras.

Run by `scripts/test --interop`; by hand: BACKPROP_INTEROP=DIR swift test … --filter InteropTests, then this with DIR.
"""

import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import numpy as np

FOLDER = pathlib.Path(sys.argv[1])


def counting(shape, dtype):
    """As in Tests/Fixtures/generate/hdf5_files.py."""
    count = int(np.prod(shape))
    return (np.arange(count) % (2 if dtype == "bool" else 100)).astype(dtype).reshape(shape)


def hdf5_sample():
    with h5py.File(FOLDER / "sample.h5", "r") as file:
        assert file.attrs["name"] == "sample ü" and file.attrs["empty"] == "", dict(file.attrs)
        assert file["nothing/vars"].attrs["name"] == "nothing" and len(file["nothing/vars"]) == 0
        for dtype in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
            data = file[f"types/{dtype}/0"]
            assert data.dtype == dtype and np.array_equal(data[()], counting((3, 5), dtype)), dtype
        half = file["types/bfloat16/0"]
        assert half.attrs["dtype"] == "bfloat16" and half.dtype == "V2", half.dtype
        upper = half[()].view("uint16").astype("uint32") << 16
        assert np.array_equal(upper.view("float32"), counting((3, 5), "float32"))
        assert file["shapes/scalar"][()] == 7 and file["shapes/scalar"].shape == ()
        assert file["shapes/empty"].shape == (0, 3) and file["shapes/empty"][()].size == 0
        assert np.array_equal(file["shapes/rank5"][()], counting((1, 2, 3, 2, 1), "int32"))


def hdf5_large():
    with h5py.File(FOLDER / "large.h5", "r") as file:
        assert len(file) == 2501 and sorted(file) == sorted(["vars"] + [f"g{i}" for i in range(2500)])
        assert len(file["vars"]) == 2500 and all(file[f"vars/{i}"][()] == i for i in range(2500))
        assert all(file[f"g{i}"].attrs["name"] == f"layer {i}" for i in range(2500))


for check in (hdf5_sample, hdf5_large):
    check()
    print(f"ok: {check.__name__}")
