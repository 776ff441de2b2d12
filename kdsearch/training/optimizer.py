"""Optimiser and learning-rate schedule of a training."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from kdsearch.spec.concrete import TrainingConfig
from kdsearch.training.fine_tuning.groups import Parameters


def make_optimizer(parameters: Parameters, config: TrainingConfig) -> Optimizer:
    """SGD, its momentum Nesterov's or plain, or AdamW, over all parameters; one kernel a device."""
    if config.optimizer == "adamw":
        return AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    optimizer = SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov and config.momentum > 0,
        weight_decay=config.weight_decay,
        fused=True,
    )
    if config.momentum > 0:
        _start_momentum(optimizer)
    return optimizer


def _start_momentum(optimizer: SGD) -> None:
    """Begin every momentum at zero, which is where an absent one begins.

    The fused kernel takes no mixture of present and absent ones, as there is where a parameter
    gets its first gradient later than others.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def lr_factor(config: TrainingConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate as a multiple of its peak, by number of finished steps.

    Linear warm-up, then a half cosine to zero (Loshchilov & Hutter 2017), steps of ``gamma`` at
    the milestones, or a constant.
    """
    total = config.epochs * steps_per_epoch
    warmup = config.warmup_epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if config.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))
        if config.schedule == "step":
            return config.gamma ** sum(step >= mark * total for mark in config.milestones)
        return 1.0

    return factor


def make_schedule(optimizer: Optimizer, config: TrainingConfig, steps_per_epoch: int) -> LambdaLR:
    """A per-step schedule; call ``step()`` after every optimiser step."""
    return LambdaLR(optimizer, lr_factor(config, steps_per_epoch))
