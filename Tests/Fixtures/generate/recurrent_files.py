"""`.keras` files of models with recurrent layers, as Keras writes them, and what the models answer: recurrent_files.json."""

from fixture import Fixture
from model_records import ModelFiles

import keras
import numpy as np

L = keras.layers
fixture = Fixture("recurrent_files")
rng = np.random.default_rng(11)
add = ModelFiles(fixture, rng).add

add("recurrent", keras.Sequential([
    keras.Input((5, 4)), L.SimpleRNN(3, return_sequences=True), L.GRU(3, return_sequences=True, reset_after=False),
    L.Bidirectional(L.LSTM(2, return_sequences=True)), L.GRU(3, return_sequences=True, recurrent_activation="hard_sigmoid"),
    L.RNN([L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(3), L.LSTMCell(2)], return_sequences=True),
    L.TimeDistributed(L.Dense(3, activation="tanh")), L.RNN(L.GRUCell(3), return_sequences=True, go_backwards=True),
    L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum",
                    backward_layer=L.SimpleRNN(2, go_backwards=True, return_sequences=True, name="back")),
    L.LSTM(3, kernel_regularizer="l2", bias_constraint="non_neg", name="end"), L.Dense(3, activation="softmax")]),
    rng.standard_normal((6, 5, 4)).astype("float32"))

# States from one layer to another, masks, layers with several results. No number occurs twice: with repeated ones Keras'
# Adam on TensorFlow makes another step of the embedding.
tokens = keras.Input((5,), dtype="int32")
e = L.Embedding(40, 4, mask_zero=True)(tokens)
encoded, h, c = L.LSTM(3, return_sequences=True, return_state=True)(e)
decoded, h, c = L.LSTM(3, return_sequences=True, return_state=True)(e, initial_state=[h, c])
gru = L.GRU(3, return_sequences=True)(decoded, initial_state=h)
both = L.Bidirectional(L.SimpleRNN(3), name="both")(gru, initial_state=[h, c])
there, back = L.Bidirectional(L.GRU(2), merge_mode=None)(encoded)
y = L.Dense(3, activation="softmax")(L.Concatenate()([both, there, back]))
add("recurrent-states", keras.Model(tokens, y), (np.arange(30) * 7 % 40).reshape(6, 5).astype("int32"))

add("recurrent-images", keras.Sequential([
    keras.Input((3, 6, 2)), L.ConvLSTM1D(2, 3, padding="same", return_sequences=True), L.Reshape((3, 3, 2, 2)),
    L.ConvLSTM2D(2, (2, 1), return_sequences=True, go_backwards=True), L.Reshape((3, 2, 2, 1, 2)),
    L.ConvLSTM3D(2, (2, 1, 1), padding="same"), L.Flatten(), L.Dense(3, activation="softmax")]),
    rng.standard_normal((4, 3, 6, 2)).astype("float32"))
fixture.write()
