"""nanoGPT's recipe for one processor, without biases and dropout, for Keras and for PyTorch: they differ in what each calls
its own (gelu by erf, normalisation's epsilon), not in the work."""

import peer

KINDS, STEPS, WIDTH, HEADS, BLOCKS = peer.GPT.values()


def build(keras):
    L = keras.layers

    class Positions(L.Layer):
        def build(self, shape):
            self.vectors = self.add_weight(shape=(STEPS, WIDTH))

        def call(self, x):
            return x + self.vectors

    text = keras.Input((STEPS,), dtype="int32")
    h = Positions()(L.Embedding(KINDS, WIDTH)(text))
    for _ in range(BLOCKS):
        n = L.LayerNormalization()(h)
        attention = L.MultiHeadAttention(HEADS, WIDTH // HEADS, use_bias=False)
        h = L.Add()([h, attention(n, n, use_causal_mask=True)])
        wide = L.Dense(4 * WIDTH, activation="gelu", use_bias=False)(L.LayerNormalization()(h))
        h = L.Add()([h, L.Dense(WIDTH, use_bias=False)(wide)])
    last = L.Dense(KINDS, activation="softmax", use_bias=False)
    return keras.Model(text, last(L.LayerNormalization()(h)))


def build_torch():
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.projections = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
            self.joined = nn.Linear(WIDTH, WIDTH, bias=False)
            self.wide = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
            self.narrow = nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, x):
            def heads(z):
                return z.view(*z.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)

            query, key, value = map(heads, self.projections(self.first(x)).split(WIDTH, 2))
            found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.joined(found.transpose(1, 2).reshape(x.shape))
            return x + self.narrow(functional.gelu(self.wide(self.second(x))))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.characters, self.places = nn.Embedding(KINDS, WIDTH), nn.Embedding(STEPS, WIDTH)
            self.blocks = nn.Sequential(*[Block() for _ in range(BLOCKS)])
            self.normalization, self.last = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, KINDS, bias=False)

        def forward(self, x):
            h = self.characters(x) + self.places(torch.arange(x.shape[1]))
            return self.last(self.normalization(self.blocks(h))).reshape(-1, KINDS)

    return Network()
