"""Schedules that Keras doesn't have: PyTorch's OneCycleLR and LinearLR, and the formula of "Attention is all you need"."""

from fixture import Fixture, tensor

import numpy as np
import torch

fixture = Fixture("further_schedules")
TOTAL = 60
STEPS = np.arange(TOTAL)


def rates(make):
    """The learning rates of a PyTorch scheduler at steps 0, 1, …"""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    found = []
    for _ in STEPS:
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(found) < TOTAL else None
    return found


def add(name, values, **config):
    fixture.add(schedule=name, config=config, values=tensor(np.array(values), "float32"))


for arguments, config in (
        ({}, {}), ({"pct_start": 0.25, "anneal_strategy": "linear"}, {"warmup_share": 0.25, "annealing": "linear"}),
        ({"three_phase": True}, {"three_phases": True}),
        ({"three_phase": True, "pct_start": 0.4, "anneal_strategy": "linear", "div_factor": 10, "final_div_factor": 100},
         {"three_phases": True, "warmup_share": 0.4, "annealing": "linear", "initial_divisor": 10.0, "final_divisor": 100.0}),
        ({"pct_start": 0.5, "div_factor": 4}, {"warmup_share": 0.5, "initial_divisor": 4.0})):
    values = rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.5, total_steps=TOTAL, cycle_momentum=False, **arguments))
    add("OneCycle", values, max_learning_rate=0.5, total_steps=TOTAL, **config)

for start, steps in ((0.01, 10), (0.5, 25)):
    values = rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=start, total_iters=steps))
    add("LinearWarmup", values, initial_learning_rate=0.1 * start, target_learning_rate=0.1, warmup_steps=steps)
values = rates(lambda o: torch.optim.lr_scheduler.SequentialLR(
    o, [torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=10), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
    milestones=[10]))
after = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.9}}
add("LinearWarmup", values, initial_learning_rate=0.01, target_learning_rate=0.1, warmup_steps=10, after=after)

for size, warmup, factor in ((512, 10, 1.0), (64, 25, 2.0), (128, 4000, 1.0)):
    s = STEPS + 1.0
    add("Noam", factor * size ** -0.5 * np.minimum(s ** -0.5, s * warmup ** -1.5), model_size=size, warmup_steps=warmup,
        factor=factor)
fixture.fact(steps=tensor(STEPS))
fixture.write()
