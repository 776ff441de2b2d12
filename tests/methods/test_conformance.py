"""What every method keeps, whoever wrote it: parametrised over all of them."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods import METHODS, Targets
from kdsearch.methods.hyperparameter import WEIGHT_RANGE
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Range

every = pytest.mark.parametrize("cls", METHODS.values(), ids=METHODS.keys())
of_logits = pytest.mark.parametrize(
    "cls",
    [pytest.param(cls, id=name) for name, cls in METHODS.items() if Signal.LOGITS in cls.signals],
)
MEAN_OVER_SAMPLES = ("kd", "mse_logits", "hard_label", "dkd", "fitnet", "at")
UNCHANGED_BY_DOUBLING = (*MEAN_OVER_SAMPLES, "dist")


def only(signals: Signals, wanted: frozenset[Signal]) -> Signals:
    """The signals that are wanted, the others absent."""
    return Signals(**{signal.value: getattr(signals, signal.value) for signal in wanted})


def tensors(signals: Signals) -> list[torch.Tensor]:
    single = [values for values in (signals.logits, signals.embedding) if values is not None]
    return [*single, *signals.features, *signals.attention]


def some(signals: Signals, index: slice | torch.Tensor) -> Signals:
    return Signals(
        logits=None if signals.logits is None else signals.logits[index],
        embedding=None if signals.embedding is None else signals.embedding[index],
        features=tuple(values[index] for values in signals.features),
        attention=tuple(values[index] for values in signals.attention),
    )


def total(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(parts.values())).sum()


def labels_of(batch: int) -> Targets:
    return Targets(torch.arange(batch) % 7)


@every
def test_states_its_facts(cls):
    assert cls.kind in ("logit", "feature", "relation")
    assert cls.signals
    assert any(character.isdigit() for character in cls.paper)
    assert "weight" in cls.hyperparameters
    weight = cls.hyperparameters["weight"]
    if cls.kind == "logit":
        assert weight.search == WEIGHT_RANGE
    for declared in cls.hyperparameters.values():
        if isinstance(declared.search, Range):
            assert declared.search.low <= declared.default <= declared.search.high
            assert declared.search.log


@every
def test_reads_exactly_what_it_declares(cls, student_shapes, teacher_shapes, random_signals):
    method = cls(student_shapes, teacher_shapes).double()
    student = random_signals(student_shapes)
    teacher = random_signals(teacher_shapes, seed=1)
    given = only(student, cls.signals), only(teacher, cls.signals)
    assert torch.isfinite(total(method(*given, labels_of(6), 0.5)))
    for signal in cls.signals:
        empty = () if signal in (Signal.FEATURES, Signal.ATTENTION) else None
        lacking = replace(given[1], **{signal.value: empty})
        with pytest.raises((AssertionError, IndexError)):
            method(given[0], lacking, labels_of(6), 0.5)


@every
def test_gradient_reaches_student_and_helpers_and_never_the_teacher(
    cls, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32, requires_grad=True)
    parts = method(student, teacher, labels_of(6), 0.5)
    for value in parts.values():
        assert value.shape == ()
        found = torch.autograd.grad(value, tensors(student), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in found)
    total(parts).backward()
    assert all(values.grad is None for values in tensors(teacher))
    for parameter in method.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@every
def test_every_map_of_a_declared_signal_that_is_compared_gets_gradient(
    cls, student_shapes, teacher_shapes, random_signals
):
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    total(cls(student_shapes, teacher_shapes)(student, teacher, labels_of(6), 0.5)).backward()
    touched = {
        signal
        for signal in Signal
        for values in tensors(only(student, frozenset({signal})))
        if values.grad is not None
    }
    assert touched == cls.signals


@every
def test_identical_outputs_give_the_minimum(cls, student_shapes, random_signals):
    method = cls(student_shapes, student_shapes).double()
    if cls.name == "fitnet":
        with torch.no_grad():
            method.projector.weight.copy_(torch.eye(4)[:, :, None, None])
            method.projector.bias.zero_()
    signals = random_signals(student_shapes, batch=8)
    floor = 0.0
    if cls.name == "hard_label":
        # Cross-entropy with its own decision: −log of the largest probability.
        floor = -signals.logits.softmax(dim=1).amax(dim=1).log().mean().item()
    same = total(method(signals, signals, labels_of(8), 1.0)).item()
    assert same == pytest.approx(floor, abs=1e-12)
    for seed in range(1, 6):
        other = random_signals(student_shapes, batch=8, seed=seed)
        assert total(method(other, signals, labels_of(8), 1.0)).item() > same


@pytest.mark.parametrize("name", UNCHANGED_BY_DOUBLING)
def test_regression_doubling_the_batch_leaves_the_loss(
    name, student_shapes, teacher_shapes, random_signals
):
    method = METHODS[name](student_shapes, teacher_shapes).double()
    student, teacher = random_signals(student_shapes), random_signals(teacher_shapes, seed=1)
    targets = labels_of(6)
    twice = torch.arange(6).repeat(2)
    once = total(method(student, teacher, targets, 0.5)).item()
    doubled = total(
        method(some(student, twice), some(teacher, twice), Targets(targets.labels[twice]), 0.5)
    ).item()
    assert doubled == pytest.approx(once, rel=1e-12)


@pytest.mark.parametrize("name", MEAN_OVER_SAMPLES)
def test_regression_loss_is_the_mean_of_its_halves(
    name, student_shapes, teacher_shapes, random_signals
):
    method = METHODS[name](student_shapes, teacher_shapes).double()
    student, teacher = random_signals(student_shapes), random_signals(teacher_shapes, seed=1)
    targets = labels_of(6)
    halves = [
        total(
            method(some(student, half), some(teacher, half), Targets(targets.labels[half]), 0.5)
        ).item()
        for half in (slice(0, 3), slice(3, 6))
    ]
    whole = total(method(student, teacher, targets, 0.5)).item()
    assert whole == pytest.approx(sum(halves) / 2, rel=1e-12)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(
    cls, dtype, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=dtype, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=dtype)
    parts = method(student, teacher, labels_of(6), 0.5)
    assert all(value.dtype == torch.float32 for value in parts.values())
    # The same rounded inputs in float64: only the loss's own arithmetic differs.
    exact = deepcopy(method).double()(
        *(
            Signals(
                logits=s.logits.double(),
                embedding=s.embedding.double(),
                features=tuple(f.double() for f in s.features),
                attention=tuple(q.double() for q in s.attention),
            )
            for s in (student, teacher)
        ),
        labels_of(6),
        0.5,
    )
    for name, value in parts.items():
        assert value.item() == pytest.approx(exact[name].item(), rel=1e-4)
    found = torch.autograd.grad(total(parts), tensors(student), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in found if g is not None)


@of_logits
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_regression_finite_at_gaps_of_ten_thousand(cls, temperature, dtype, student_shapes):
    values = {"temperature": temperature} if "temperature" in cls.hyperparameters else {}
    method = cls(student_shapes, student_shapes, **values)
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2, 6, 7), generator=generator) * 1e4
    for z_s, z_t in ((signs[0], signs[1]), (signs[0], signs[0]), (-signs[0], signs[0])):
        leaf = z_s.to(dtype).requires_grad_()
        parts = method(Signals(logits=leaf), Signals(logits=z_t.to(dtype)), labels_of(6), 1.0)
        loss = total(parts)
        assert torch.isfinite(loss)
        (found,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(found).all()


@every
def test_regression_learnable_parts_are_registered(
    cls, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    # With no gradient into the student, what still needs one is a helper's parameter; each must
    # be found by parameters() and kept by state_dict().
    loss = total(method(student, teacher, labels_of(6), 0.5))
    assert loss.requires_grad == bool(list(method.parameters()))
    assert set(method.state_dict()) >= {name for name, _ in method.named_parameters()}
    assert (cls.name == "fitnet") == bool(list(method.parameters()))


@every
def test_refuses_an_unknown_hyperparameter_and_other_classes(cls, student_shapes, teacher_shapes):
    with pytest.raises(MethodError, match="did you mean 'weight'"):
        cls(student_shapes, teacher_shapes, wieght=1.0)
    with pytest.raises(MethodError, match="7 classes, the teacher 10"):
        cls(student_shapes, replace(teacher_shapes, classes=10))


@every
def test_instances_do_not_share_values(cls, student_shapes, teacher_shapes):
    one = cls(student_shapes, teacher_shapes, weight=3.0)
    other = cls(student_shapes, teacher_shapes)
    assert one.values["weight"] == 3.0
    assert other.values["weight"] == cls.hyperparameters["weight"].default
