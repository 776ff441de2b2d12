"""Schedules and optimisers against PyTorch's own schedulers and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from kdsearch.spec.concrete import TrainingConfig
from kdsearch.training.optimizer import lr_factor, make_optimizer, make_schedule

STEPS = 8


def rates(schedule: LRScheduler, steps: int) -> list[float]:
    """The learning rate of each of the first steps."""
    found = []
    for _ in range(steps):
        found.append(float(schedule.get_last_lr()[0]))
        schedule.optimizer.step()
        schedule.step()
    return found


def ours(config: TrainingConfig) -> list[float]:
    optimizer = make_optimizer([nn.Parameter(torch.zeros(1))], config)
    return rates(make_schedule(optimizer, config, STEPS), config.epochs * STEPS)


def test_cosine_is_pytorchs_cosine() -> None:
    config = TrainingConfig(epochs=5, lr=0.3)
    reference = SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    expected = rates(CosineAnnealingLR(reference, T_max=5 * STEPS), 5 * STEPS)
    assert ours(config) == pytest.approx(expected, rel=1e-9)


def test_cosine_starts_at_the_peak_halves_in_the_middle_and_ends_at_zero() -> None:
    factor = lr_factor(TrainingConfig(epochs=6), STEPS)
    assert factor(0) == 1
    assert factor(6 * STEPS // 2) == pytest.approx(0.5)
    assert factor(6 * STEPS // 3) == pytest.approx(0.75)  # cos 60° = 1/2
    assert factor(6 * STEPS) == pytest.approx(0, abs=1e-12)


def test_step_is_pytorchs_multi_step() -> None:
    config = TrainingConfig(epochs=10, schedule="step", milestones=(0.3, 0.55, 0.9), gamma=0.2)
    reference = SGD([nn.Parameter(torch.zeros(1))], lr=config.lr)
    marks = [24, 44, 72]  # of 80 steps
    expected = rates(MultiStepLR(reference, marks, gamma=0.2), 80)
    assert ours(config) == pytest.approx(expected)


def test_constant_stays() -> None:
    assert set(ours(TrainingConfig(epochs=3, schedule="constant", lr=0.2))) == {0.2}


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_warm_up_rises_by_equal_amounts_to_the_peak(schedule: str) -> None:
    config = TrainingConfig(epochs=4, warmup_epochs=2, schedule=schedule, lr=1.0)
    found = ours(config)
    rise = [after - before for before, after in pairwise(found[:17])]
    assert found[0] == pytest.approx(1 / 17)
    assert rise == pytest.approx([1 / 17] * 16)
    assert found[16] == max(found) == 1.0


def test_the_cosine_after_a_warm_up_takes_the_steps_that_are_left() -> None:
    factor = lr_factor(TrainingConfig(epochs=4, warmup_epochs=1), STEPS)
    left = 3 * STEPS
    expected = [0.5 * (1 + math.cos(math.pi * step / left)) for step in range(left + 1)]
    assert [factor(STEPS + step) for step in range(left + 1)] == pytest.approx(expected)


def test_a_fraction_of_an_epoch_can_be_the_warm_up() -> None:
    factor = lr_factor(TrainingConfig(epochs=2, warmup_epochs=0.5, schedule="constant"), STEPS)
    expected = [1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1]
    assert [factor(step) for step in range(6)] == pytest.approx(expected)


def first_step(config: TrainingConfig, gradient: float) -> float:
    parameter = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = make_optimizer([parameter], config)
    parameter.grad = torch.tensor([gradient], dtype=torch.float64)
    optimizer.step()
    return float(parameter.detach())


def test_sgds_first_step_is_nesterovs() -> None:
    config = TrainingConfig(lr=0.1, momentum=0.8, weight_decay=0.01)
    decayed = 0.5 + 0.01 * 2
    assert first_step(config, 0.5) == pytest.approx(2 - 0.1 * (1 + 0.8) * decayed)


def test_sgds_first_step_without_nesterov_is_gradient_descent() -> None:
    config = TrainingConfig(lr=0.1, momentum=0.8, nesterov=False, weight_decay=0.01)
    assert first_step(config, 0.5) == pytest.approx(2 - 0.1 * (0.5 + 0.01 * 2))


def test_sgd_without_momentum_is_gradient_descent() -> None:
    config = TrainingConfig(lr=0.1, momentum=0, weight_decay=0)
    assert first_step(config, 0.5) == pytest.approx(2 - 0.1 * 0.5)


def test_adamws_first_step_is_the_sign_with_decoupled_decay() -> None:
    config = TrainingConfig(optimizer="adamw", lr=0.1, weight_decay=0.02)
    assert first_step(config, -7.0) == pytest.approx(2 * (1 - 0.1 * 0.02) + 0.1, abs=1e-7)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_pytorchs_plain_one_also_where_a_gradient_comes_late(
    momentum: float, nesterov: bool
) -> None:
    """The second parameter has no gradient in the first two steps."""
    config = TrainingConfig(lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=0.01)

    def trained(make: Callable[[list[nn.Parameter]], Optimizer]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(3)
        values = [torch.randn(4, 3, generator=generator) for _ in range(2)]
        parameters = [nn.Parameter(value) for value in values]
        optimizer = make(parameters)
        for step in range(5):
            optimizer.zero_grad()
            loss = parameters[0].square().sum()
            if step >= 2:
                loss = loss + (parameters[1] ** 3).sum()
            loss.backward()
            optimizer.step()
        return [parameter.detach() for parameter in parameters]

    found = trained(lambda parameters: make_optimizer(parameters, config))
    plain = trained(
        lambda parameters: SGD(
            parameters,
            lr=0.1,
            momentum=momentum,
            nesterov=nesterov and momentum > 0,
            weight_decay=0.01,
            foreach=False,
        )
    )
    for ours_value, expected in zip(found, plain, strict=True):
        torch.testing.assert_close(ours_value, expected, rtol=1e-6, atol=1e-7)
