"""Convolutions, pooling and the other layers over images, each in several configurations."""

from fixture import Fixture
from layer_cases import LayerCases

import keras
import numpy as np

fixture = Fixture("convolutions")
cases = LayerCases(fixture, seed=21)
floats, record = cases.floats, cases.record
L = keras.layers

# Convolutions: padding, strides, dilation, groups, sizes that differ by axis, with and without bias.
record(L.Conv1D(4, 3), floats(2, 8, 3))
record(L.Conv1D(3, 4, strides=2, padding="same", activation="relu"), floats(2, 9, 2))
record(L.Conv1D(4, 3, padding="causal", dilation_rate=2, use_bias=False), floats(2, 7, 3))
record(L.Conv1D(4, 2, strides=3, padding="causal"), floats(1, 8, 2))
record(L.Conv1D(6, 3, groups=3, padding="same"), floats(2, 5, 6))
record(L.Conv2D(5, 3), floats(2, 6, 5, 3))
record(L.Conv2D(4, (2, 3), strides=(2, 1), padding="same", activation="relu"), floats(2, 5, 6, 2))
record(L.Conv2D(4, 3, dilation_rate=(2, 1), use_bias=False), floats(2, 7, 6, 2))
record(L.Conv2D(3, 2, padding="same", dilation_rate=2), floats(1, 5, 4, 2))
record(L.Conv2D(6, 3, groups=2, padding="same"), floats(2, 4, 5, 4))
record(L.Conv2D(8, 1, strides=2), floats(2, 5, 5, 6))
record(L.Conv2D(16, 3, strides=2, padding="same"), floats(1, 6, 6, 16, scale=0.3), note="whole vectors of channels")
record(L.Conv3D(3, 2), floats(1, 4, 3, 4, 2))
record(L.Conv3D(2, (2, 3, 1), strides=(1, 2, 2), padding="same"), floats(2, 3, 4, 4, 2))
record(L.Conv3D(4, 2, groups=2, activation="tanh"), floats(1, 3, 3, 3, 2))

# Transposes. With TensorFlow's `same` the size says where the padding goes.
record(L.Conv1DTranspose(3, 3), floats(2, 5, 2))
record(L.Conv1DTranspose(3, 4, strides=3, padding="same"), floats(2, 4, 2))
record(L.Conv1DTranspose(2, 2, strides=3), floats(1, 4, 3), note="the stride is larger than the kernel")
record(L.Conv2DTranspose(3, 3), floats(2, 3, 4, 2))
record(L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"), floats(2, 3, 4, 3))
record(L.Conv2DTranspose(2, (2, 3), strides=(3, 2), use_bias=False), floats(1, 3, 3, 2))
record(L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1), floats(1, 3, 4, 2))
record(L.Conv2DTranspose(2, 3, strides=2, padding="valid", output_padding=1), floats(1, 3, 4, 2))
record(L.Conv3DTranspose(2, 2), floats(1, 2, 3, 2, 2))
record(L.Conv3DTranspose(2, 3, strides=2, padding="same"), floats(1, 2, 2, 3, 2))
record(L.Conv3DTranspose(3, (1, 2, 3), strides=(1, 2, 1), activation="sigmoid"), floats(1, 2, 2, 2, 2))

# One channel at a time.
record(L.DepthwiseConv1D(3), floats(2, 7, 4))
record(L.DepthwiseConv1D(2, strides=2, padding="same", depth_multiplier=3), floats(2, 7, 2))
record(L.DepthwiseConv1D(3, dilation_rate=2, use_bias=False, activation="relu"), floats(1, 8, 3))
record(L.DepthwiseConv2D(3), floats(2, 5, 6, 4))
record(L.DepthwiseConv2D((2, 3), strides=2, padding="same", depth_multiplier=2), floats(2, 5, 5, 3))
record(L.DepthwiseConv2D(3, padding="same", dilation_rate=2, use_bias=False), floats(1, 6, 6, 16, scale=0.3))
record(L.SeparableConv1D(4, 3), floats(2, 7, 3))
record(L.SeparableConv1D(3, 2, strides=2, padding="same", depth_multiplier=2, use_bias=False), floats(2, 7, 2))
record(L.SeparableConv1D(4, 3, dilation_rate=2, activation="relu"), floats(1, 8, 3))
record(L.SeparableConv2D(4, 3), floats(2, 5, 6, 3))
record(L.SeparableConv2D(3, 3, strides=2, padding="same", depth_multiplier=2), floats(2, 5, 5, 2))
record(L.SeparableConv2D(4, (2, 3), padding="same", use_bias=False, activation="relu"), floats(1, 4, 5, 3))

# Pooling: windows that fit, that don't, that overlap, that reach over the edge.
for n, shapes in ((1, [(2, 8, 3), (2, 7, 2), (1, 9, 17)]), (2, [(2, 6, 4, 3), (2, 7, 5, 2), (1, 6, 7, 17)]),
                  (3, [(1, 4, 4, 4, 2), (2, 3, 5, 4, 2), (1, 5, 4, 3, 3)])):
    for kind in ("Max", "Average"):
        layer = getattr(L, f"{kind}Pooling{n}D")
        record(layer(2), floats(*shapes[0]))
        record(layer(2, padding="same"), floats(*shapes[1]))
        record(layer(3, strides=2 if n > 1 else 1, padding="same"), floats(*shapes[2]))
        record(layer(2, strides=3), floats(*shapes[1]))
    for kind in ("Max", "Average"):
        layer = getattr(L, f"Global{kind}Pooling{n}D")
        record(layer(), floats(*shapes[0]))
        record(layer(keepdims=True), floats(*shapes[1]))
        record(layer(), floats(*shapes[2]))
    for kind in ("Max", "Average"):
        layer = getattr(L, f"Adaptive{kind}Pooling{n}D")
        # Not one window alone: TensorFlow's kernel dies there.
        record(layer(3), floats(*shapes[0]))
        record(layer(2), floats(*shapes[1]))
        record(layer([3, 2, 2][:n] if n > 1 else 4), floats(*shapes[2]))

record(L.GlobalAveragePooling1D(), floats(2, 4, 3), mask=np.array([[1, 1, 0, 1], [0, 1, 0, 0]], bool))

record(L.ZeroPadding1D(), floats(2, 3, 2))
record(L.ZeroPadding1D(2), floats(1, 4, 3))
record(L.ZeroPadding1D((0, 3)), floats(2, 2, 2))
record(L.ZeroPadding2D(), floats(2, 3, 2, 2))
record(L.ZeroPadding2D((2, 1)), floats(1, 2, 3, 3))
record(L.ZeroPadding2D(((0, 1), (2, 0))), floats(2, 3, 2, 2))
record(L.ZeroPadding3D(), floats(1, 2, 2, 3, 2))
record(L.ZeroPadding3D((0, 1, 2)), floats(1, 2, 3, 2, 1))
record(L.ZeroPadding3D(((0, 1), (1, 0), (2, 1))), floats(2, 1, 2, 2, 2))
record(L.Cropping1D(), floats(2, 5, 2))
record(L.Cropping1D(2), floats(1, 6, 3))
record(L.Cropping1D((0, 3)), floats(2, 5, 2))
record(L.Cropping2D(), floats(2, 3, 2, 2))
record(L.Cropping2D((1, 2)), floats(2, 4, 6, 2))
record(L.Cropping2D(((0, 1), (2, 0))), floats(2, 3, 4, 2))
record(L.Cropping3D(), floats(1, 4, 3, 5, 2))
record(L.Cropping3D((0, 1, 2)), floats(1, 2, 3, 5, 2))
record(L.Cropping3D(((0, 1), (1, 0), (2, 1))), floats(2, 2, 3, 4, 1))
record(L.UpSampling1D(), floats(2, 3, 2))
record(L.UpSampling1D(3), floats(2, 4, 1))
record(L.UpSampling1D(1), floats(1, 3, 2))
record(L.UpSampling2D(), floats(2, 3, 2, 2))
record(L.UpSampling2D((3, 1)), floats(1, 2, 3, 2))
record(L.UpSampling2D((2, 3), interpolation="bilinear"), floats(2, 3, 4, 2))
record(L.UpSampling2D(2, interpolation="bilinear"), floats(1, 1, 5, 3))
record(L.UpSampling3D(), floats(1, 2, 3, 2, 2))
record(L.UpSampling3D((1, 3, 2)), floats(2, 2, 1, 2, 2))
record(L.UpSampling3D(3), floats(1, 1, 2, 2, 1))

fixture.write()
