"""What every generating script shares: the tensor form, and a fixture file that is compact and diffs by the line.

Import this before keras: it chooses the backend (TensorFlow, unless KERAS_BACKEND says otherwise).
"""

import base64
import json
import math
import os
import pathlib
import platform
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent
INLINE_LIMIT = 64  # tensors with more elements than this are stored as base64


def number(value, dtype):
    """A JSON number that reads back as the same value, also when read as a double first and then rounded to float32."""
    if dtype == "bool":
        return bool(value)
    if dtype.startswith(("int", "uint")):
        return int(value)
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if dtype == "float64":
        return float(value)
    short = float(str(np.float32(value)))
    return short if np.float32(short).tobytes() == np.float32(value).tobytes() else float(f"{value:.9g}")


def tensor(array, dtype=None):
    """{"shape", "dtype", "data": flat list} up to INLINE_LIMIT elements, else {"shape", "dtype", "base64": little-endian}."""
    array = np.asarray(array)
    if dtype:
        array = array.astype(dtype)
    array = np.ascontiguousarray(array).reshape(array.shape)  # ascontiguousarray makes rank 0 rank 1
    name = array.dtype.name
    stored = {"shape": list(array.shape), "dtype": name}
    if array.size <= INLINE_LIMIT:
        stored["data"] = [number(v, name) for v in array.reshape(-1)]
    else:
        little = array.astype(array.dtype.newbyteorder("<"))
        stored["base64"] = base64.b64encode(little.tobytes()).decode()
    return stored


def versions():
    """The packages that the values depend on."""
    found = {"python": platform.python_version(), "numpy": np.__version__}
    for module in ("keras", "tensorflow", "jax", "torch", "scipy"):
        if module in sys.modules:
            found[module] = sys.modules[module].__version__
    if "keras" in sys.modules:
        found["backend"] = sys.modules["keras"].backend.backend()
    return found


class Fixture:
    """Collects cases and writes them to Tests/Fixtures/NAME.json, one line a case."""

    def __init__(self, name):
        self.name, self.facts, self.cases = name, {}, []

    def fact(self, **facts):
        """Something that holds for all cases, such as shared data."""
        self.facts.update(facts)

    def add(self, **case):
        self.cases.append(case)

    def write(self):
        def line(value):
            return json.dumps(value, separators=(",", ":"), allow_nan=False)

        path = FOLDER / f"{self.name}.json"
        head = {"script": f"generate/{pathlib.Path(sys.argv[0]).name}", "versions": versions(), **self.facts}
        rows = [f"{line(key)}:{line(value)}" for key, value in head.items()]
        cases = ",\n".join(line(case) for case in self.cases)
        path.write_text("{" + ",\n".join(rows) + ',\n"cases":[\n' + cases + "\n]}\n")
        print(f"{path.name}: {len(self.cases)} cases, {path.stat().st_size / 1024:.0f} kB")
