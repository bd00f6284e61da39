"""Tensors in JSON, as the fixtures hold them."""

import base64

import numpy as np


def tensor(value):
    if "base64" in value:
        flat = np.frombuffer(base64.b64decode(value["base64"]), value["dtype"])
    else:
        flat = np.array([float(x) if isinstance(x, str) else x for x in value["data"]], value["dtype"])
    return flat.reshape(value["shape"])


def stored(array):
    array = np.asarray(array)
    flat = [x if not isinstance(x, float) or np.isfinite(x) else str(x) for x in array.reshape(-1).tolist()]
    return {"shape": list(array.shape), "dtype": array.dtype.name, "data": flat}
