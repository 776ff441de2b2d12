"""Losses of tasks against their formulas, gaps, and the objective over several tasks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.special import expit

from kdsearch.errors import MethodError
from kdsearch.methods import METHODS, Objective, method_config
from kdsearch.methods.kd import binary_kd_loss, kd_loss
from kdsearch.methods.targets import Targets
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.problems import Head
from kdsearch.problems.head import side_by_side

DIGIT, TAGS, INK = side_by_side(
    [
        Head("digit", "class", tuple("abc")),
        Head("tags", "labels", ("red", "large")),
        Head("ink", "value", ("ink",), mean=30.0, std=5.0),
    ]
)
HEADS = (DIGIT, TAGS, INK)
SHAPES = SignalShapes(classes=6, embedding=4, features=())
SIZE = 8


def outputs(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SIZE, 6, generator=generator, dtype=torch.float64)


def signals(seed: int) -> Signals:
    generator = torch.Generator().manual_seed(seed + 100)
    embedding = torch.randn(SIZE, 4, generator=generator, dtype=torch.float64)
    return Signals(logits=outputs(seed), embedding=embedding)


def targets(**rest: torch.Tensor) -> dict[str, Targets]:
    return {
        "digit": Targets(torch.arange(SIZE) % 3, **rest),
        "tags": Targets((torch.arange(2 * SIZE).reshape(SIZE, 2) % 3 == 0).float(), **rest),
        "ink": Targets(torch.linspace(20, 45, SIZE), **rest),
    }


def test_the_loss_of_labels_is_the_mean_binary_cross_entropy() -> None:
    z, y = outputs(0)[:, 3:5].numpy(), targets()["tags"].labels.numpy()
    each = -(y * np.log(expit(z)) + (1 - y) * np.log(1 - expit(z)))
    assert TaskLoss(TAGS)(outputs(0), targets()["tags"]).item() == pytest.approx(each.mean())
    smooth = TaskLoss(TAGS, label_smoothing=0.2)(outputs(0), targets()["tags"]).item()
    goal = 0.8 * y + 0.1
    each = -(goal * np.log(expit(z)) + (1 - goal) * np.log(1 - expit(z)))
    assert smooth == pytest.approx(each.mean())


def test_the_loss_of_a_value_is_squared_in_standard_deviations() -> None:
    goal = (targets()["ink"].labels.double().numpy() - 30) / 5
    expected = ((outputs(0)[:, 5].numpy() - goal) ** 2).mean()
    found = TaskLoss(INK)(outputs(0), targets()["ink"])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_weights_and_blends_are_those_of_a_loop() -> None:
    generator = np.random.default_rng(0)
    share, weights, others = (torch.from_numpy(generator.random(SIZE)) for _ in range(3))
    values = targets()["ink"].labels
    of = Targets(values, values.flip(0), share, None, weights, others)
    total = 0.0
    for row in range(SIZE):
        own = (float(outputs(0)[row, 5]) - (float(values[row]) - 30) / 5) ** 2
        partner = (float(outputs(0)[row, 5]) - (float(values.flip(0)[row]) - 30) / 5) ** 2
        total += float(share[row] * weights[row]) * own
        total += float((1 - share[row]) * others[row]) * partner
    found = TaskLoss(INK, mean_weight=1.5)(outputs(0), of)
    assert found.item() == pytest.approx(total / SIZE / 1.5, rel=1e-6)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_samples_without_the_target_count_for_nothing(head: Head) -> None:
    """The mean is over the others, by their share; no gradient of a missing one is NaN."""
    there = torch.tensor([0, 2, 3, 6])
    gone = torch.tensor([each for each in range(SIZE) if each not in there])
    labels = targets()[head.name].labels.clone()
    labels[gone] = -1 if head.kind == "class" else torch.nan
    gaps, z = replace(head, gaps=True), outputs(0).requires_grad_()
    found = TaskLoss(gaps, mean_weight=0.5)(z, Targets(labels))
    expected = TaskLoss(head)(outputs(0)[there], Targets(labels[there]))
    assert found.item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(found, z)
    assert bool((gradient[gone] == 0).all())
    assert bool(gradient.isfinite().all())
    none = torch.full_like(labels, -1 if head.kind == "class" else torch.nan)
    assert TaskLoss(gaps)(outputs(0), Targets(none)).item() == 0.0


def test_two_workers_average_to_one_however_the_gaps_lie() -> None:
    labels = torch.tensor([0, -1, 2, 1, -1, -1, 0, -1])
    loss = TaskLoss(replace(DIGIT, gaps=True), mean_weight=0.5)
    halves = [loss(outputs(0)[part], Targets(labels[part])) for part in (slice(0, 4), slice(4, 8))]
    whole = loss(outputs(0), Targets(labels))
    assert (sum(halves) / 2).item() == pytest.approx(whole.item())


def test_gaps_blend_by_the_shares_of_what_is_there() -> None:
    labels, share = torch.tensor([0, -1, 2, 1]), torch.tensor([0.3, 0.6, 0.9, 0.5]).double()
    partner = torch.tensor([-1, 1, 2, -1])
    z = outputs(0)[:4]
    total = 0.0
    for row in range(4):
        for label, part in ((labels[row], share[row]), (partner[row], 1 - share[row])):
            if label >= 0:
                total -= float(part * z[row, :3].log_softmax(dim=0)[label])
    found = TaskLoss(replace(DIGIT, gaps=True))(z, Targets(labels, partner, share))
    assert found.item() == pytest.approx(total / 4)


def test_a_missing_label_of_several_leaves_the_others() -> None:
    labels = targets()["tags"].labels.clone()
    labels[0, 1] = torch.nan
    z = outputs(0)
    each = F.binary_cross_entropy_with_logits(
        z[:, 3:5], labels.nan_to_num().double(), reduction="none"
    )
    rows = each.mean(dim=1)
    rows[0] = each[0, 0]
    found = TaskLoss(replace(TAGS, gaps=True))(z, Targets(labels))
    assert found.item() == pytest.approx(rows.mean().item())


def objective(label: str = "kd", weights=(1.0, 1.0, 1.0), uncertainty: bool = False, **values):
    losses = [TaskLoss(head, weight) for head, weight in zip(HEADS, weights, strict=True)]
    return Objective(method_config(label, values), SHAPES, SHAPES, losses, uncertainty)


def test_each_task_is_distilled_by_the_teachers_same_task_with_its_weight() -> None:
    weights = (0.5, 2.0, 3.0)
    found = objective("kd", weights, weight=0.7, ce_weight=0.3, temperature=2.0)(
        signals(0), signals(1), targets(), 0.0
    )
    s, t = outputs(0), outputs(1)
    names = ["ce/digit", "ce/tags", "ce/ink", "kd/digit", "kd/tags", "kd/ink", "loss"]
    assert list(found) == names
    expected = {
        "kd/digit": 0.7 * 0.5 * kd_loss(s[:, :3], t[:, :3], 2.0),
        "kd/tags": 0.7 * 2.0 * binary_kd_loss(s[:, 3:5], t[:, 3:5], 2.0),
        "kd/ink": 0.7 * 3.0 * ((s[:, 5] - t[:, 5]) ** 2).mean(),
        "ce/digit": 0.3 * 0.5 * F.cross_entropy(s[:, :3], targets()["digit"].labels),
        "ce/ink": 0.3 * 3.0 * TaskLoss(INK)(s, targets()["ink"]),
    }
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-9), name
    total = sum(found[name].item() for name in names[:-1])
    assert found["loss"].item() == pytest.approx(total, rel=1e-12)


def test_the_divergence_of_labels_is_that_of_two_classes_each() -> None:
    s, t, temperature = outputs(0)[:, 3:5].numpy(), outputs(1)[:, 3:5].numpy(), 3.0
    p, q = expit(t / temperature), expit(s / temperature)
    each = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    found = binary_kd_loss(outputs(0)[:, 3:5], outputs(1)[:, 3:5], temperature)
    assert found.item() == pytest.approx(temperature**2 * each.mean())


def test_what_the_tasks_share_is_distilled_once() -> None:
    made = objective("kd+rkd")
    assert list(made.terms) == ["kd/digit", "kd/tags", "kd/ink", "rkd"]
    alone = Objective(method_config("rkd", {}), SHAPES, SHAPES)
    found = made(signals(0), signals(1), targets(), 0.0)
    plain = alone(signals(0), signals(1), {"label": targets()["digit"]}, 0.0)
    assert found["rkd.angle"].item() == pytest.approx(plain["rkd.angle"].item())


def test_learnt_weights_follow_the_formula() -> None:
    """Σ exp(−s) L + s / 2, half of it for the squared error (Kendall et al., equation 7)."""
    made = objective("kd", uncertainty=True, ce_weight=1.0, weight=0.5)
    s = torch.tensor([0.3, -0.2, 1.1])
    assert made.weighting is not None
    plain = objective("kd", ce_weight=1.0, weight=0.5)(signals(0), signals(1), targets(), 0.0)
    fresh = made(signals(0), signals(1), targets(), 0.0)
    assert fresh["ce/digit"].item() == pytest.approx(plain["ce/digit"].item())
    assert fresh["ce/ink"].item() == pytest.approx(plain["ce/ink"].item() / 2)
    with torch.no_grad():
        made.weighting.log_variances.copy_(s)
    found = made(signals(0), signals(1), targets(), 0.0)
    for place, (name, scale) in enumerate((("digit", 1.0), ("tags", 1.0), ("ink", 0.5))):
        factor = scale * math.exp(-s[place])
        for part in ("ce", "kd"):
            expected = factor * plain[f"{part}/{name}"].item()
            assert found[f"{part}/{name}"].item() == pytest.approx(expected, rel=1e-6)
    assert found["uncertainty"].item() == pytest.approx(float(s.sum()) / 2)
    found["loss"].backward()
    gradient = made.weighting.log_variances.grad
    assert gradient is not None
    own = found["ce/digit"] + found["kd/digit"]
    assert gradient[0].item() == pytest.approx(0.5 - own.item(), rel=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, method in METHODS.items()
        if Signal.LOGITS in method.signals and name not in ("kd", "mse_logits")
    ],
)
def test_a_method_of_classes_refuses_other_tasks(name: str) -> None:
    for head in (replace(TAGS, start=0), replace(INK, start=0)):
        shapes = SignalShapes(classes=head.size, embedding=4, features=())
        with pytest.raises(MethodError, match=rf"{name} distils classes, and '{head.name}' is"):
            Objective(method_config(name, {}), shapes, shapes, [TaskLoss(head)])


@pytest.mark.parametrize("name", ["dkd", "nkd", "crd"])
def test_a_method_that_reads_each_class_refuses_gaps(name: str) -> None:
    shapes = SignalShapes(classes=3, embedding=4, features=())
    with pytest.raises(MethodError, match=f"{name} reads the class of every sample"):
        Objective(method_config(name, {}), shapes, shapes, [TaskLoss(replace(DIGIT, gaps=True))])


@pytest.mark.parametrize("gaps", [(), (0,), (0, 1)], ids=str)
def test_a_method_reads_the_first_task_of_classes_that_no_sample_lacks(
    gaps: tuple[int, ...],
) -> None:
    heads = [INK, DIGIT, replace(DIGIT, name="tone", start=3)]
    heads = [heads[0], *(replace(h, gaps=n in gaps) for n, h in enumerate(heads[1:]))]
    losses = [TaskLoss(head) for head in heads]
    if len(gaps) == 2:
        with pytest.raises(MethodError, match="crd reads the class of every sample, and some"):
            Objective(method_config("crd", {}), SHAPES, SHAPES, losses)
        return
    made = Objective(method_config("crd", {}), SHAPES, SHAPES, losses)
    heard: list[torch.Tensor] = []
    crd = made.methods[0]
    crd.forward = lambda s, t, targets, p: heard.append(targets.labels) or {}  # type: ignore
    of = {name: Targets(torch.full((SIZE,), n)) for n, name in enumerate(("digit", "tone", "ink"))}
    made(signals(0), signals(1), of, 0.0)
    assert heard[0][0].item() == len(gaps)


def test_one_task_of_labels_or_of_a_value_is_distilled_too() -> None:
    for head, other in ((replace(TAGS, start=0), "tags"), (replace(INK, start=0), "ink")):
        columns = slice(3, 5) if head.kind == "labels" else slice(5, 6)
        shapes = SignalShapes(classes=head.size, embedding=4, features=())
        made = Objective(method_config("kd", {}), shapes, shapes, [TaskLoss(head)])
        pair = (Signals(logits=outputs(seed)[:, columns]) for seed in (0, 1))
        found = made(*pair, {other: targets()[other]}, 0.0)
        whole = objective("kd")(signals(0), signals(1), targets(), 0.0)
        assert list(found) == ["ce", "kd", "loss"]
        assert found["kd"].item() == pytest.approx(whole[f"kd/{other}"].item())


@pytest.mark.parametrize("label", ["ab", "fsp"])
def test_learnt_weights_rest_while_the_student_is_initialised(
    label, student_shapes, teacher_shapes, random_signals
):
    """Nothing would hold them back then."""
    heads = side_by_side([Head("one", "class", tuple("abcd")), Head("two", "class", tuple("xyz"))])
    losses = [TaskLoss(head) for head in heads]
    made = Objective(method_config(label, {}), student_shapes, teacher_shapes, losses, True)
    assert made.weighting is not None
    assert made.methods[0].initialises(0.0)
    made.double()
    student = random_signals(student_shapes, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1)
    of = {head.name: Targets(torch.arange(6) % head.size) for head in heads}
    made(student, teacher, of, 0.0)["loss"].backward()
    gradient = made.weighting.log_variances.grad
    assert gradient is None or not gradient.any()
    assert "uncertainty" in made(student, teacher, of, 0.9)
