"""The four constraints applied to weights."""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("constraints")
rng = np.random.default_rng(7)
MATRIX = (rng.standard_normal((4, 3)) * 2).astype("float32")
MATRIX[:, 1] = 0  # a unit whose norm is zero
KERNEL = rng.standard_normal((3, 3, 2, 4)).astype("float32")
BIAS = np.array([-0.5, 0, 3, 0.1], "float32")

for name, variants in {
        "MaxNorm": [{}, {"max_value": 1.0}, {"max_value": 1.5, "axis": 1}],
        "MinMaxNorm": [{}, {"min_value": 0.5, "max_value": 2.0}, {"min_value": 1.0, "max_value": 1.5, "rate": 0.3, "axis": 1}],
        "NonNeg": [{}],
        "UnitNorm": [{}, {"axis": 1}]}.items():
    for arguments in variants + [{"axis": [0, 1, 2]}] * (name != "NonNeg"):
        for x in (MATRIX, KERNEL, BIAS):
            axis = arguments.get("axis", 0)
            if x.ndim <= max(axis if isinstance(axis, list) else [axis]):
                continue
            constraint = getattr(keras.constraints, name)(**arguments)
            fixture.add(constraint=name, config=constraint.get_config(), input=tensor(x), output=tensor(constraint(x)))
fixture.write()
