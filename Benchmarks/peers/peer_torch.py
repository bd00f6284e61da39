"""PyTorch: eager, with the fused Adam, and compiled (forward, loss and backward; the fused Adam beside)."""

import time

import gpt_network
import image_networks
import peer
import recurrent_networks
import torch
from torch import nn


def build(bench):
    torch.manual_seed(0)
    if bench in peer.IMAGES:
        return getattr(image_networks, bench + "_torch")(), nn.CrossEntropyLoss()
    if bench in peer.WORDS:
        return recurrent_networks.build_torch(bench), nn.CrossEntropyLoss()
    if bench == "gpt":
        return gpt_network.build_torch(), nn.CrossEntropyLoss()
    sizes, layers = peer.SIZES[bench], []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers[-1:] = [nn.Sigmoid()] if bench == "autoenc" else []
    return nn.Sequential(*layers), nn.MSELoss() if bench == "autoenc" else nn.CrossEntropyLoss()


def training_step(bench, arm):
    """A function (x, y) -> loss that trains, and the model."""
    model, loss_function = build(bench)
    if arm == "torch-cl":
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=None if arm == "torch-eager" else True)

    def forward_and_backward(x, y):
        loss = loss_function(model(x), y)
        loss.backward()
        return loss.detach()

    if arm == "torch-compile":
        forward_and_backward = torch.compile(forward_and_backward)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = forward_and_backward(x, y)
        optimizer.step()
        return loss

    return step, model


def as_tensors(x, y):
    y = torch.from_numpy(y)
    return torch.from_numpy(x), y if y.is_floating_point() else y.long()


def epochs(arm, data):
    x, y = as_tensors(*data[:2])
    step, model = training_step("seed-mlp", arm)
    samples, batch = [], peer.BATCH["seed-mlp"]
    for _ in range(peer.EPOCHS):
        start = time.perf_counter()
        order, total = torch.randperm(len(x)), 0
        for first in range(0, len(x) - batch + 1, batch):
            rows = order[first:first + batch]
            total += step(x[rows], y[rows])
        total.item()
        samples.append(time.perf_counter() - start)
    with torch.no_grad():
        guesses = model(torch.from_numpy(data[2])).argmax(1).numpy()
    return samples, (guesses == data[3]).mean()


def step(bench, arm):
    train, _ = training_step(bench, arm)
    x, y = as_tensors(*peer.random_batch(bench))
    if bench == "gpt":
        y = y.reshape(-1)
    if bench in peer.IMAGES:
        layout = torch.channels_last if arm == "torch-cl" else torch.contiguous_format
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=layout)
    return lambda: train(x, y).item()


def first_step(arm):
    step("coldstart", arm)()
