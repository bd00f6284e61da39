"""Keras' attention on PyTorch where a mask leaves a query without any key, and on TensorFlow, whose numbers are ours.

The results are the same, the mean of the values; the gradients aren't. On TensorFlow the scores that a mask hides are
replaced: none reaches that query, and none the keys from it. On PyTorch Keras adds -2.4e38 to them, so they do. There PyTorch's
fused kernel for CPUs keeps a query's largest score plus the logarithm of the sum of exponentials: log(keys) is lost beside
-2.4e38, on the way back each weight is 1 instead of 1 / keys, and all gradients through that query's weights are as many times
too large as there are keys. Values that are wider or narrower than keys don't go through that kernel.
"""

import contextlib

import keras
import torch


def weights(query, key, bias, scale, replaces):
    scores = query @ key.mT * scale
    return torch.softmax(torch.where(is_hidden(bias), bias, scores) if replaces else scores + bias, -1)


def is_hidden(bias):
    return bias < -1e38


def as_tensorflow(query, key, value, bias, scale):
    return weights(query, key, bias, scale, replaces=True) @ value


def as_pytorch(query, key, value, bias, scale):
    result = weights(query, key, bias, scale, replaces=False) @ value
    if value.shape[-1] != key.shape[-1]:
        return result
    kept = result.detach()
    return torch.where(is_hidden(bias).all(-1, keepdim=True), kept + key.shape[-2] * (result - kept), result)


@contextlib.contextmanager
def attention(formula=None):
    """Has masked attention computed by a formula; gives a list of how many queries without a key each call had."""
    theirs, idle = torch.nn.functional.scaled_dot_product_attention, []

    def call(query, key, value, attn_mask=None, is_causal=False, scale=None):
        if attn_mask is not None:
            idle.append(int(is_hidden(attn_mask).all(-1).sum()))
            if formula is not None:
                return formula(query, key, value, attn_mask, scale)
        return theirs(query, key, value, attn_mask=attn_mask, is_causal=is_causal, scale=scale)

    torch.nn.functional.scaled_dot_product_attention = call
    try:
        yield idle
    finally:
        torch.nn.functional.scaled_dot_product_attention = theirs


def steps(load, step):
    """The weights of a model after a step as PyTorch makes it, and with TensorFlow's formula."""
    for formula in (as_pytorch, as_tensorflow):
        model = load()
        with attention(formula) as idle:
            step(model)
        assert any(idle), "every query attends to a key"
        yield [keras.ops.convert_to_numpy(w) for w in model.weights]
