"""Mistakes of public implementations that belong to the losses, each by its name.

================================  ================================================================
Mistake                           Proven in
================================  ================================================================
teacher drifts in train mode      tests/training/test_known_mistakes.py; here for every method by
                                  ``MethodConformance.test_teacher_is_left_alone``
T² lost on one branch             here
mean over classes, sum over batch here; ``test_is_a_mean_over_the_batch`` for every method
dkd through log(softmax)          here; ``test_is_finite_at_extremes`` for every method
correlation with the wrong sign   here; ``test_identical_outputs_give_the_minimum``
learnable parts not trained       here for what is registered; ``test_helpers_are_trained_and_kept``
student left in eval mode         tests/training/test_known_mistakes.py
class-wide setattr, config        here; ``test_instances_share_nothing`` for every method
changed in place
relations within a worker's       here
share of the batch alone
cached answers, fresh views       tests/training/test_known_mistakes.py
tests against own output          nowhere: expected values here are closed forms and loops
================================  ================================================================
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from kdsearch.methods import METHODS, Method, Objective, Targets, method_config
from kdsearch.methods.cc import CorrelationCongruence
from kdsearch.methods.crd import CRD
from kdsearch.methods.dist import DIST
from kdsearch.methods.dkd import DKD
from kdsearch.methods.kd import KD
from kdsearch.methods.logit_std import LogitStandardization
from kdsearch.methods.mlkd import MLKD
from kdsearch.methods.nkd import NKD
from kdsearch.methods.pkt import PKT
from kdsearch.methods.rkd import RKD
from kdsearch.methods.sp import SimilarityPreserving
from kdsearch.methods.vid import VID
from kdsearch.models import Signals, SignalShapes
from kdsearch.spec.concrete import ModelConfig
from kdsearch.testing.material import shapes_of
from tests.methods.maps import map_stages

LABELS = torch.arange(6) % 7
NETWORK = shapes_of(ModelConfig(family="convnet", width=0.25, depth=2))
Loss = Callable[[Tensor, Tensor], Tensor]


def shapes(classes: int = 7) -> SignalShapes:
    return SignalShapes(classes=classes, embedding=5, features=map_stages((4, 4, 4), (6, 2, 2)))


def part_of(cls: type[Method], name: str, **values: float) -> Loss:
    """One part of a logit method as a function of the two networks' logits."""

    def loss(z_s: Tensor, z_t: Tensor) -> Tensor:
        method = cls(shapes(z_s.shape[1]), shapes(z_t.shape[1]), **values)
        labels = Targets(LABELS[: len(z_s)] % z_s.shape[1])
        return method(Signals(logits=z_s), Signals(logits=z_t), labels, 1.0)[name]

    return loss


def gradient(loss: Loss, z_s: Tensor, z_t: Tensor) -> Tensor:
    leaf = z_s.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(leaf, z_t), leaf)
    return found


def draw(*size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, generator=generator, dtype=torch.float64)


def centred(values: Tensor) -> Tensor:
    return values - values.mean(dim=1, keepdim=True)


def hot_kd(z_s: Tensor, z_t: Tensor) -> Tensor:
    """lim_{T→∞} T² KL = |centred(z_s) − centred(z_t)|² / 2K, mean over the batch."""
    return (centred(z_s) - centred(z_t)).square().mean(dim=1).mean() / 2


def hot_logit_std(z_s: Tensor, z_t: Tensor) -> Tensor:
    """The same of the logits divided by their standard deviation."""
    return hot_kd(centred(z_s) / z_s.std(dim=1)[:, None], centred(z_t) / z_t.std(dim=1)[:, None])


def split(values: Tensor) -> tuple[Tensor, Tensor]:
    """The labels' logits [B], and the others' [B, K − 1], sample by sample."""
    rows = [
        (row[label], torch.cat([row[:label], row[label + 1 :]]))
        for row, label in zip(values, LABELS[: len(values)], strict=True)
    ]
    return torch.stack([own for own, _ in rows]), torch.stack([rest for _, rest in rows])


def hot_tckd(z_s: Tensor, z_t: Tensor) -> Tensor:
    """lim T² KL of two Bernoulli distributions: ½ p (1 − p) (Δd)² at p = 1/K, d the log-odds."""
    share = 1 / z_s.shape[1]
    (own_s, rest_s), (own_t, rest_t) = split(z_s), split(z_t)
    odds = (own_s - rest_s.mean(dim=1)) - (own_t - rest_t.mean(dim=1))
    return share * (1 - share) / 2 * odds.square().mean()


def hot_others(z_s: Tensor, z_t: Tensor) -> Tensor:
    """The limit of kd among the classes other than the label."""
    return hot_kd(split(z_s)[1], split(z_t)[1])


@pytest.mark.parametrize(
    ("cls", "name", "factor", "limit"),
    [
        (KD, "kd", 1.0, hot_kd),
        (LogitStandardization, "logit_std", 1.0, hot_logit_std),
        (DKD, "tckd", 1.0, hot_tckd),
        (DKD, "nckd", 8.0, hot_others),
        (NKD, "others", 1.5, hot_others),
    ],
)
def test_regression_temperature_squared_is_lost_on_no_branch(
    cls: type[Method], name: str, factor: float, limit: Loss
) -> None:
    z_s, z_t = draw(6, 7), draw(6, 7, seed=1)
    expected = factor * gradient(limit, z_s, z_t)
    for temperature in (1e3, 1e4):
        found = gradient(part_of(cls, name, temperature=temperature), z_s, z_t)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-2 * float(expected.abs().max()))


def test_regression_every_temperature_of_mlkd_has_its_square() -> None:
    # the four fixed temperatures, and one that is hot
    z_s, z_t = draw(6, 7), draw(6, 7, seed=1)
    found = gradient(part_of(MLKD, "instance", temperature=1e4), z_s, z_t)
    at_fixed = [part_of(KD, "kd", temperature=t) for t in (2.0, 3.0, 5.0, 6.0)]
    expected = sum((gradient(loss, z_s, z_t) for loss in at_fixed), gradient(hot_kd, z_s, z_t))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def looped_kl(z_s: Tensor, z_t: Tensor) -> float:
    """Σ over classes, mean over samples, with loops."""
    total = 0.0
    for student, teacher in zip(z_s.tolist(), z_t.tolist(), strict=True):
        sum_s, sum_t = (sum(math.exp(z) for z in row) for row in (student, teacher))
        for s, t in zip(student, teacher, strict=True):
            p_s, p_t = math.exp(s) / sum_s, math.exp(t) / sum_t
            total += p_t * math.log(p_t / p_s)
    return total / len(z_s)


@pytest.mark.parametrize("classes", [2, 7, 50])
@pytest.mark.parametrize("batch", [1, 6])
def test_regression_divergences_divide_by_the_batch_alone(batch: int, classes: int) -> None:
    z_s, z_t = draw(batch, classes), draw(batch, classes, seed=1)
    found = part_of(KD, "kd", temperature=1.0)(z_s, z_t)
    assert float(found) == pytest.approx(looped_kl(z_s, z_t), rel=1e-9)
    found = part_of(LogitStandardization, "logit_std", temperature=1.0)(z_s, z_t)
    even_s, even_t = (centred(z) / z.std(dim=1, keepdim=True) for z in (z_s, z_t))
    assert float(found) == pytest.approx(looped_kl(even_s, even_t), rel=1e-5, abs=1e-12)
    found = part_of(DKD, "nckd", temperature=1.0, beta=1.0)(z_s, z_t)
    labels = LABELS[:batch] % classes
    rest = [
        torch.stack([torch.cat([r[:y], r[y + 1 :]]) for r, y in zip(z, labels, strict=True)])
        for z in (z_s, z_t)
    ]
    assert float(found) == pytest.approx(looped_kl(*rest), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("gap", [112.0, 416.0, 512.0, 9984.0])  # exact in bfloat16
def test_regression_dkd_is_finite_beyond_a_gap_of_104_temperatures(
    gap: float, temperature: float, dtype: torch.dtype
) -> None:
    z_s = torch.tensor([[gap, 0.0]], dtype=dtype)
    z_t = torch.zeros(1, 2, dtype=dtype)
    # an unsure teacher against a sure student: T² (½ log(½/p) + ½ log(½/q)), q = exp(−gap/T) p
    p = 1 / (1 + math.exp(-gap / temperature))
    expected = temperature**2 * (gap / temperature / 2 - math.log(2 * p))
    loss = part_of(DKD, "tckd", temperature=temperature)
    assert float(loss(z_s, z_t)) == pytest.approx(expected, rel=1e-5)
    assert gradient(loss, z_s, z_t).isfinite().all()
    # the same between the two classes that are not the label
    third = torch.zeros(1, 1, dtype=dtype)
    others = part_of(DKD, "nckd", temperature=temperature, beta=1.0)
    wide_s, wide_t = torch.cat([third, z_s], dim=1), torch.cat([third, z_t], dim=1)
    assert float(others(wide_s, wide_t)) == pytest.approx(expected, rel=1e-5)
    assert gradient(others, wide_s, wide_t).isfinite().all()


@pytest.mark.parametrize("name", ["inter", "intra"])
def test_regression_correlation_has_its_sign(name: str) -> None:
    loss = part_of(DIST, name, temperature=1.0)
    z_t = draw(6, 7)
    same = loss(z_t, z_t)
    assert float(same) == pytest.approx(0.0, abs=1e-12)
    for seed in range(1, 20):
        random = loss(draw(6, 7, seed=seed), z_t)
        assert same < random
    # the gradient leads from a random student towards the teacher
    z_s = draw(6, 7, seed=1)
    assert loss(z_s - 0.1 * gradient(loss, z_s, z_t), z_t) < loss(z_s, z_t)


def test_regression_log_scales_of_vid_are_trained_and_saved() -> None:
    torch.manual_seed(0)
    objective = Objective(method_config("vid", {}), shapes(), shapes())
    scales = {name for name, _ in objective.named_parameters() if name.endswith("scale")}
    assert scales == {f"terms.vid.regressors.{stage}.scale" for stage in (0, 1)}
    assert scales <= objective.state_dict().keys()
    vid = objective.terms["vid"]
    assert isinstance(vid, VID)
    f_t = tuple(draw(3, *size, seed=7).float() for size in shapes().maps)
    vid(Signals(features=f_t), Signals(features=f_t), Targets(LABELS[:3]), 0.5)["vid"].backward()
    assert all(p.grad is not None and p.grad.any() for _, p in vid.named_parameters())


@pytest.mark.parametrize("name", METHODS)
def test_regression_no_helper_hides_from_optimiser_and_checkpoint(name: str) -> None:
    objective = Objective(method_config(name, {}), NETWORK, NETWORK)
    assert {n for n, _ in objective.named_parameters()} <= objective.state_dict().keys()
    for part in objective.modules():
        for held in vars(part).values():
            values = held if isinstance(held, list | tuple) else [held]
            # PyTorch keeps what is registered in dictionaries of its own
            assert not any(isinstance(value, nn.Module | Tensor) for value in values)


@pytest.mark.parametrize("name", [name for name, cls in METHODS.items() if cls.hyperparameters])
def test_regression_two_trials_in_one_process_do_not_meet(name: str) -> None:
    def weight_of(values: dict[str, float]) -> float:
        (method,) = Objective(method_config(name, values), NETWORK, NETWORK).methods
        return method.values["weight"]

    declared = deepcopy(dict(METHODS[name].hyperparameters))
    one = Objective(method_config(name, {"weight": 3.0}), NETWORK, NETWORK)
    given = {"weight": 5.0}
    assert weight_of(given) == 5.0
    assert given == {"weight": 5.0}
    assert one.methods[0].values["weight"] == 3.0
    one.methods[0].values["weight"] = 7.0
    assert weight_of({}) == declared["weight"].default
    assert METHODS[name].hyperparameters == declared


@pytest.mark.parametrize("cls", [RKD, SimilarityPreserving, PKT, CorrelationCongruence, DIST, MLKD])
def test_regression_relations_within_one_workers_share_are_told(cls: type[Method]) -> None:
    assert cls.batchwise
    assert "worker" in (inspect.getdoc(cls) or "")
    # two workers' halves are not the whole: it is told because it is so
    torch.manual_seed(0)
    method = cls(shapes(), shapes()).double()
    values = [_signals(seed) for seed in (1, 2)]
    with torch.no_grad():
        whole = method(*values, Targets(LABELS), 0.5)
        halves = [
            method(*(_some(held, part) for held in values), Targets(LABELS[part]), 0.5)
            for part in (slice(0, 3), slice(3, 6))
        ]
    total, *shares = (float(sum(parts.values())) for parts in (whole, *halves))
    assert sum(shares) / 2 != pytest.approx(total, rel=1e-3)


def test_regression_a_memory_of_one_workers_share_is_told() -> None:
    assert CRD.batchwise
    assert CRD.by_sample
    assert "worker" in (inspect.getdoc(CRD) or "")


def _signals(seed: int) -> Signals:
    features = tuple(draw(6, *size, seed=seed) for size in shapes().maps)
    return Signals(logits=draw(6, 7, seed=seed), embedding=draw(6, 5, seed=seed), features=features)


def _some(signals: Signals, part: slice) -> Signals:
    assert signals.logits is not None
    assert signals.embedding is not None
    return Signals(
        logits=signals.logits[part],
        embedding=signals.embedding[part],
        features=tuple(maps[part] for maps in signals.features),
    )
