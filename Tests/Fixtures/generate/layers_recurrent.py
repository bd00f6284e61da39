"""Recurrent layers and cells: outputs, final states, gradients, masks, initial states, and what a stateful layer carries on.

Dropout is compared in training with what is dropped given from outside: Keras' cells keep it in `_dropout_mask` and
`_recurrent_dropout_mask`, one tensor or one for each gate.
"""

from fixture import Fixture, tensor

import keras
import numpy as np
import tensorflow as tf

from layer_records import LayerCases

fixture = Fixture("layers_recurrent")
cases = LayerCases(fixture, 29)
floats, record, L = cases.floats, cases.record, keras.layers

STEPS = np.array([[1, 1, 0, 1], [0, 1, 1, 0]], bool)
x = lambda: floats(2, 4, 3)  # noqa: E731


def with_states(layer, xs, **arguments):
    return layer(xs[0], initial_state=xs[1:], **arguments)


def step(layer, xs, **arguments):
    output, states = layer(xs[0], xs[1:], **arguments)
    return [output, *states]


def dropped(count, *shape):
    """What keeps about two thirds, scaled up."""
    masks = [(cases.rng.random(shape) < 0.67).astype("float32") * np.float32(1.5) for _ in range(count)]
    return masks


for kind, states in ((L.SimpleRNN, 1), (L.LSTM, 2), (L.GRU, 1)):
    record(kind(5), x())
    record(kind(4, return_sequences=True), x(), masks=[STEPS])
    record(kind(4, return_sequences=True, return_state=True, go_backwards=True), x(), masks=[STEPS])
    record(kind(3, zero_output_for_mask=True, return_sequences=True, activation="relu"), x(), masks=[STEPS])
    record(kind(4, return_state=True, use_bias=False, unroll=True), x(), *[floats(2, 4) for _ in range(states)],
           call=with_states)
    record(kind(4), x(), masks=[STEPS], training=True)
    record(kind(3, stateful=True, return_state=True), x(), calls_before=1)
    record(kind(3, return_sequences=True, kernel_regularizer="l2", activity_regularizer="l1", bias_constraint="non_neg"),
           x())
gates = {L.SimpleRNN: 1, L.LSTM: 4, L.GRU: 3}
for kind, count in gates.items():
    record(kind(4, dropout=0.3), x(), training=True, cell_masks=(dropped(1, 2, 3), []))
    record(kind(4, recurrent_dropout=0.3, return_sequences=True), x(), training=True, masks=[STEPS],
           cell_masks=([], dropped(count, 2, 4)))
    record(kind(4, dropout=0.3, recurrent_dropout=0.3), x(), training=True,
           cell_masks=(dropped(count, 2, 3), dropped(count, 2, 4)))
    record(kind(4, dropout=0.3, recurrent_dropout=0.2), x())
record(L.LSTM(4, recurrent_activation="hard_sigmoid", activation="softsign", unit_forget_bias=False), x())
record(L.GRU(4, recurrent_activation="hard_sigmoid", return_sequences=True, reset_after=False), x(), masks=[STEPS])
record(L.GRU(4, reset_after=False, return_state=True), x(), floats(2, 4), call=with_states)
record(L.GRU(4, reset_after=False, use_bias=False), x())
record(L.GRU(4, reset_after=False, recurrent_dropout=0.3, dropout=0.1), x(), training=True,
       cell_masks=(dropped(3, 2, 3), dropped(3, 2, 4)))

for cell, sizes in ((L.SimpleRNNCell, 1), (L.LSTMCell, 2), (L.GRUCell, 1)):
    record(cell(4), floats(2, 3), *[floats(2, 4) for _ in range(sizes)], call=step)
    record(cell(4, activation="relu", use_bias=False), floats(2, 3), *[floats(2, 4) for _ in range(sizes)], call=step)
    record(cell(2, dropout=0.2, recurrent_dropout=0.2), floats(3, 1), *[floats(3, 2) for _ in range(sizes)], call=step)
record(L.GRUCell(4, reset_after=False), floats(2, 3), floats(2, 4), call=step)

stack = lambda: [L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)]  # noqa: E731
nested = lambda layer, xs, **a: step_nested(layer, xs, **a)  # noqa: E731


def step_nested(layer, xs, **arguments):
    output, (ab, c, d) = layer(xs[0], [[xs[1], xs[2]], [xs[3]], [xs[4]]], **arguments)
    return [output, *ab, *c, *d]


record(L.StackedRNNCells(stack()), floats(2, 3), floats(2, 4), floats(2, 4), floats(2, 3), floats(2, 2), call=nested)
record(L.RNN(L.LSTMCell(4)), x(), masks=[STEPS])
record(L.RNN(L.GRUCell(4), return_sequences=True, return_state=True), x(), masks=[STEPS])
record(L.RNN(L.SimpleRNNCell(4), go_backwards=True, zero_output_for_mask=True, return_sequences=True), x(), masks=[STEPS])
record(L.RNN(stack()), x(), masks=[STEPS])
record(L.RNN(stack(), return_sequences=True, go_backwards=True), x())
record(L.RNN([L.LSTMCell(3), L.LSTMCell(2)]), x(), training=True)

B = L.Bidirectional
record(B(L.LSTM(4)), x())
record(B(L.LSTM(3, return_sequences=True)), x(), masks=[STEPS])
record(B(L.GRU(3, return_sequences=True), merge_mode="sum"), x(), masks=[STEPS])
record(B(L.SimpleRNN(3), merge_mode="mul"), x(), masks=[STEPS])
record(B(L.GRU(3), merge_mode="ave"), x())
record(B(L.LSTM(2, return_sequences=True), merge_mode=None), x(), masks=[STEPS])
record(B(L.LSTM(2, return_state=True)), x(), masks=[STEPS])
record(B(L.GRU(2, return_state=True, return_sequences=True)), x(), floats(2, 2), floats(2, 2), call=with_states)
record(B(L.LSTM(3, return_sequences=True),
         backward_layer=L.GRU(2, return_sequences=True, go_backwards=True, activation="relu")), x(), masks=[STEPS])
record(B(L.RNN([L.GRUCell(2), L.LSTMCell(2)])), x())

C1, C2 = L.ConvLSTM1D, L.ConvLSTM2D
line = lambda: floats(2, 3, 6, 2)  # noqa: E731
plane = lambda: floats(2, 3, 4, 5, 2)  # noqa: E731
THREE = np.array([[1, 0, 1], [0, 1, 1]], bool)
record(C1(3, 3), line())
record(C1(2, 3, padding="same", return_sequences=True, return_state=True, go_backwards=True), line(), masks=[THREE])
record(C1(2, 2, strides=2, recurrent_activation="hard_sigmoid", use_bias=False), line())
record(C1(2, 3, dilation_rate=2, padding="same", stateful=True), line(), calls_before=1)
record(C1(2, 3, dropout=0.3, recurrent_dropout=0.3), line(), training=True,
       cell_masks=(dropped(4, 2, 6, 2), dropped(4, 2, 4, 2)))
record(C1(2, 3, dropout=0.3), line(), training=True, cell_masks=(dropped(4, 2, 6, 2), []))
record(C2(2, 3), plane())
record(C2(2, (2, 3), padding="same", return_sequences=True), plane(), masks=[THREE])
record(C2(2, 2, strides=(1, 2), unit_forget_bias=False, activation="relu", return_state=True), plane(),
       floats(2, 3, 2, 2), floats(2, 3, 2, 2), call=with_states)
record(C2(1, 1, zero_output_for_mask=True, return_sequences=True), floats(2, 3, 2, 2, 2), masks=[THREE], training=True)
C3 = L.ConvLSTM3D
record(C3(2, 2), floats(1, 2, 3, 3, 3, 1))
record(C3(1, 2, padding="same", return_sequences=True), floats(2, 2, 2, 3, 2, 2))
record(C3(1, (1, 2, 1), strides=(1, 1, 2), return_state=True), floats(1, 2, 2, 3, 3, 2))

T = L.TimeDistributed
record(T(L.BatchNormalization()), floats(4, 3, 2), training=True,
       note="each step is a batch of its own, and the running statistics move once a step")
record(T(L.BatchNormalization()), floats(2, 3, 2), training=False)
record(T(L.BatchNormalization()), floats(4, 3, 2), training=True,
       masks=[np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 1]], bool)])
record(T(L.Conv2D(2, 2)), floats(2, 3, 3, 3, 1))
record(T(L.Dropout(0.4)), floats(2, 3, 2))
record(T(L.LSTM(3)), floats(2, 2, 3, 2))

note = "beside an initial state a mask that comes with the sequence has no effect"
for layer, states in ((L.LSTM(4, return_sequences=True), 2), (L.GRU(4), 1), (B(L.SimpleRNN(4)), 2)):
    record(layer, x(), *[floats(2, 4) for _ in range(states)], call=with_states, masks=[STEPS] + [None] * states, note=note)
record(L.LSTM(4), x(), floats(2, 4), floats(2, 4), call=with_states, given_mask=STEPS)
record(L.GRU(4, return_sequences=True, reset_after=False), x(), floats(2, 4), call=with_states, given_mask=STEPS)
fixture.write()
