"""Merging layers, EinsumDense, Identity, Permute and RepeatVector: outputs, gradients, masks."""

from fixture import Fixture

import keras
import numpy as np

from layer_records import LayerCases

fixture = Fixture("layers_merging")
cases = LayerCases(fixture, 21)
floats, record, L = cases.floats, cases.record, keras.layers

STEPS = [np.array([[1, 1, 0], [1, 0, 0]], bool), np.array([[1, 0, 0], [1, 1, 0]], bool)]

for layer in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum):
    record(layer(), floats(3, 4), floats(3, 4))
    record(layer(), floats(2, 3, 4), floats(2, 3, 4), floats(2, 3, 4))
    record(layer(), floats(2, 3, 4), floats(2, 1, 4), note="an axis of 1 stretches")
    record(layer(), floats(2, 3, 4), floats(2, 4), note="missing axes come after the batch")
    record(layer(), floats(2, 3, 4), floats(2, 3, 4), masks=STEPS)
    record(layer(), floats(2, 3, 4), floats(2, 3, 4), masks=[STEPS[0], None])
record(L.Subtract(), floats(3, 4), floats(3, 4))
record(L.Subtract(), floats(2, 3, 4), floats(2, 1, 4))
record(L.Subtract(), floats(2, 3, 4), floats(2, 3, 4), masks=STEPS)

record(L.Concatenate(), floats(3, 4), floats(3, 2))
record(L.Concatenate(axis=1), floats(2, 3, 4), floats(2, 1, 4), floats(2, 2, 4))
record(L.Concatenate(axis=-2), floats(2, 2, 3, 2), floats(2, 2, 1, 2))
record(L.Concatenate(), floats(2, 3, 4), floats(2, 3, 2), masks=[STEPS[0], None])
record(L.Concatenate(axis=1), floats(2, 3, 4), floats(2, 3, 4), masks=STEPS)

record(L.Dot(axes=1), floats(3, 4), floats(3, 4))
record(L.Dot(axes=-1), floats(2, 3, 4), floats(2, 5, 4))
record(L.Dot(axes=(2, 1)), floats(2, 3, 4), floats(2, 4, 5))
record(L.Dot(axes=(1, 2), normalize=True), floats(2, 3, 4), floats(2, 5, 3))
record(L.Dot(axes=1, normalize=True), floats(3, 4), floats(3, 4))
record(L.Dot(axes=(3, 1)), floats(2, 3, 2, 4), floats(2, 4, 5))

E = L.EinsumDense
record(E("ab,bc->ac", output_shape=4, bias_axes="c"), floats(3, 5))
record(E("abc,cd->abd", output_shape=(None, 6), bias_axes="d", activation="relu"), floats(2, 3, 5))
record(E("...x,xy->...y", output_shape=4, bias_axes="y"), floats(2, 3, 2, 5))
record(E("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), floats(2, 3, 5))
record(E("abcd,cde->abe", output_shape=(None, 4), bias_axes="e"), floats(2, 3, 2, 5))
record(E("ab...,bc->ac...", output_shape=3, bias_axes="c"), floats(2, 5, 2, 2))
record(E("abc,cd->abd", output_shape=(3, 4), bias_axes="bd"), floats(2, 3, 5))

record(L.Identity(), floats(3, 4))
record(L.Identity(), floats(2, 3, 4), masks=[STEPS[0]])
record(L.Identity(), floats(2, 2, 2, 2), training=True)

record(L.Permute((2, 1)), floats(2, 3, 4))
record(L.Permute((3, 1, 2)), floats(2, 3, 4, 2))
record(L.Permute((1,)), floats(2, 3))
record(L.RepeatVector(3), floats(2, 4))
record(L.RepeatVector(1), floats(3, 2))
record(L.RepeatVector(2), floats(1, 5), training=True)


def as_model(layer, inputs, **arguments):
    """What an input layer gives, which Keras lets nobody call: that of a model that ends where it begins."""
    return keras.Model(layer.output, layer.output)(inputs[0], **arguments)


record(L.InputLayer(shape=(3,)), floats(2, 3), call=as_model)
record(L.InputLayer(shape=(None, 4), name="steps"), floats(2, 5, 4), call=as_model)
record(L.InputLayer(shape=(2, 3, 2)), floats(3, 2, 3, 2), call=as_model, training=True)
fixture.write()
