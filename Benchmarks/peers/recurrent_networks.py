"""The networks over sequences of words: an embedding, a recurrent layer whose last output counts, a dense layer of two
classes; for Keras and for PyTorch."""

import peer

WORDS, STEPS, CLASSES = peer.WORDS["lstm"]
WIDTH = 128


def build(bench, keras):
    L = keras.layers
    layer = {"lstm": L.LSTM, "gru": L.GRU}[bench]
    return keras.Sequential([
        keras.Input((STEPS,), dtype="int32"), L.Embedding(WORDS, WIDTH), layer(WIDTH),
        L.Dense(CLASSES, activation="softmax")])


def build_torch(bench):
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(WORDS, WIDTH)
            self.layer = {"lstm": nn.LSTM, "gru": nn.GRU}[bench](WIDTH, WIDTH, batch_first=True)
            self.dense = nn.Linear(WIDTH, CLASSES)

        def forward(self, x):
            return self.dense(self.layer(self.embedding(x))[0][:, -1])

    return Network()
