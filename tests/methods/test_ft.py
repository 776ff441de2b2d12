from itertools import pairwise

import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.ft import (
    FactorTransfer,
    Paraphraser,
    convolutions,
    factor_loss,
    reconstruction_loss,
)
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from tests.methods.maps import convolved, features_of, shapes_of, weight_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]
FIRST, LATER = 0.0, 0.5


def reference(student: np.ndarray, teacher: np.ndarray) -> float:
    """Sample by sample, value by value."""
    total, count = 0.0, 0
    for s, t in zip(student, teacher, strict=True):
        s, t = s.ravel() / np.sqrt((s**2).sum()), t.ravel() / np.sqrt((t**2).sum())
        for a, b in zip(s, t, strict=True):
            total += abs(a - b)
            count += 1
    return total / count


def layers(module: torch.nn.Sequential, values: np.ndarray, training: bool) -> np.ndarray:
    """Convolution, normalisation with scale 1 and shift 0, and leaky activation, repeated."""
    for conv, norm in pairwise(module):
        if not isinstance(norm, torch.nn.BatchNorm2d):
            continue
        values = convolved(weight_of(conv), values)
        mean, variance = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
        if training:
            mean, variance = values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3))
        values = (values - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
        values = np.where(values > 0, values, 0.1 * values)
    return values


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 5, 4, 2), (4, 2, 3, 3)])
def test_is_the_papers_formula(shape, dtype, tolerance):
    s, t = np.random.default_rng(0).normal(size=(2, *shape))
    found = factor_loss(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype))
    assert found.item() == pytest.approx(reference(s, t), rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_reconstruction_is_a_mean_over_all_values(dtype, tolerance):
    s, t = np.random.default_rng(0).normal(size=(2, 3, 4, 2, 2))
    expected = sum((a - b) ** 2 for a, b in zip(s.ravel(), t.ravel(), strict=True)) / s.size
    found = reconstruction_loss(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype))
    assert found.item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    ("student", "teacher"), [((3, 4, 4), (6, 2, 2)), ((3, 2, 2), (6, 4, 4)), ((5, 2, 3), (2, 2, 3))]
)
def test_translated_and_paraphrased_factors_are_compared(student, teacher, dtype, tolerance):
    rng = np.random.default_rng(0)
    f_s, f_t = rng.normal(size=(3, *student)), rng.normal(size=(3, *teacher))
    method = FactorTransfer(shapes_of(student), shapes_of(teacher)).to(dtype)
    pair = features_of([f_s], dtype), features_of([f_t], dtype)
    # Statistics that are not the initial 0 and 1, so that to ignore them would be seen.
    method(*pair, TARGETS, FIRST)
    translated = layers(method.translator, f_s, training=True)
    factor = layers(method.paraphraser.encoder, f_t, training=False)
    if student[1] > teacher[1]:
        translated = translated.reshape(3, -1, 2, 2, 2, 2).mean(axis=(3, 5))
    elif student[1] < teacher[1]:
        factor = factor.reshape(3, -1, 2, 2, 2, 2).mean(axis=(3, 5))
    parts = method(*pair, TARGETS, LATER)
    assert set(parts) == {"ft"}
    assert parts["ft"].item() == pytest.approx(reference(translated, factor), rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_the_paraphraser_reconstructs_the_teachers_last_map(dtype, tolerance):
    rng = np.random.default_rng(0)
    first, last = rng.normal(size=(3, 2, 4, 4)), rng.normal(size=(3, 4, 2, 2))
    shapes = shapes_of((2, 4, 4), (4, 2, 2))
    method = FactorTransfer(shapes, shapes).to(dtype)
    encoded = layers(method.paraphraser.encoder, last, training=True)
    decoded = layers(method.paraphraser.decoder, encoded, training=True)
    pair = features_of([first, -last], dtype), features_of([first, last], dtype)
    parts = method(*pair, TARGETS, FIRST)
    expected = ((decoded - last) ** 2).mean()
    assert parts["reconstruction"].item() == pytest.approx(expected, rel=tolerance)


def pair_of(student, teacher, random_signals, grad=False):
    return (
        random_signals(student, dtype=torch.float32, requires_grad=grad),
        random_signals(teacher, seed=1, dtype=torch.float32, requires_grad=grad),
    )


def test_at_first_the_paraphraser_alone_is_trained(student_shapes, teacher_shapes, random_signals):
    torch.manual_seed(0)
    method = FactorTransfer(student_shapes, teacher_shapes)
    student, teacher = pair_of(student_shapes, teacher_shapes, random_signals, grad=True)
    parts = method(student, teacher, TARGETS, 29.99 / 240)
    assert set(parts) == {"ft", "reconstruction"}
    assert parts["ft"].item() == 0.0
    sum(parts.values()).backward()
    assert (student.features[-1].grad == 0).all()
    assert teacher.features[-1].grad is None
    assert all(p.grad.abs().sum() > 0 for p in method.paraphraser.parameters())
    assert all(p.grad is None for p in method.translator.parameters())


def test_later_the_translator_alone_is_trained(student_shapes, teacher_shapes, random_signals):
    torch.manual_seed(0)
    method = FactorTransfer(student_shapes, teacher_shapes)
    student, teacher = pair_of(student_shapes, teacher_shapes, random_signals, grad=True)
    method(student, teacher, TARGETS, 30 / 240)["ft"].backward()
    assert student.features[-1].grad.abs().sum() > 0
    assert teacher.features[-1].grad is None
    assert all(p.grad is None for p in method.paraphraser.parameters())
    assert all(p.grad.abs().sum() > 0 for p in method.translator.parameters())


def test_the_cross_entropy_goes_on_during_the_initialisation(student_shapes, teacher_shapes):
    method = FactorTransfer(student_shapes, teacher_shapes)
    assert not any(method.initialises(progress) for progress in (0.0, 0.1, 1.0))
    assert method.helper_parts == {"reconstruction"}
    assert FactorTransfer.signals == {Signal.FEATURES}


def test_the_share_of_the_initialisation_is_used(student_shapes, teacher_shapes, random_signals):
    method = FactorTransfer(student_shapes, teacher_shapes, initialisation=0.6)
    pair = pair_of(student_shapes, teacher_shapes, random_signals)
    assert "reconstruction" in method(*pair, TARGETS, 0.59)
    assert "reconstruction" not in method(*pair, TARGETS, 0.6)


def test_regression_decay_and_momentum_leave_the_frozen_paraphraser(
    student_shapes, teacher_shapes, random_signals
):
    method = FactorTransfer(student_shapes, teacher_shapes)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    pair = pair_of(student_shapes, teacher_shapes, random_signals)

    def step(progress: float) -> None:
        optimizer.zero_grad(set_to_none=True)
        sum(method(*pair, TARGETS, progress).values()).backward()
        optimizer.step()

    step(FIRST)
    before = {name: v.clone() for name, v in method.state_dict().items()}
    step(LATER)
    moved = {
        name.split(".")[0]
        for name, value in method.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {"translator"}
    step(FIRST)
    after = method.state_dict()
    assert not torch.equal(
        before["paraphraser.encoder.0.weight"], after["paraphraser.encoder.0.weight"]
    )


def test_regression_frozen_statistics_in_training_mode(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = FactorTransfer(student_shapes, teacher_shapes)
    assert method.training
    f_s = torch.randn(4, *student_shapes.maps[-1])
    f_t = torch.randn(4, *teacher_shapes.maps[-1])
    losses = []
    for scale in (1.0, 50.0):
        # The other samples of the teacher change; the first sample's factor must not.
        others = torch.cat([f_t[:1], scale * f_t[1:]])
        leaf = f_s.clone().requires_grad_()
        seen = []
        hook = method.paraphraser.encoder.register_forward_hook(
            lambda module, given, out, seen=seen: seen.append(out[0].clone())
        )
        method(Signals(features=(leaf,)), Signals(features=(others,)), TARGETS, LATER)
        hook.remove()
        losses.append(seen[0])
    assert torch.allclose(losses[0], losses[1], rtol=1e-6, atol=1e-6)
    assert all(part.training for part in method.modules())


def test_a_restored_checkpoint_goes_on_from_progress_alone(
    student_shapes, teacher_shapes, random_signals
):
    pair = pair_of(student_shapes, teacher_shapes, random_signals)
    method = FactorTransfer(student_shapes, teacher_shapes)
    for _ in range(3):
        method(*pair, TARGETS, FIRST)
    state = {name: value.clone() for name, value in method.state_dict().items()}
    expected = method(*pair, TARGETS, LATER)["ft"].item()
    restored = FactorTransfer(student_shapes, teacher_shapes)
    restored.load_state_dict(state)
    assert restored(*pair, TARGETS, LATER)["ft"].item() == expected


def test_the_reconstruction_is_learned():
    torch.manual_seed(0)
    shapes = shapes_of((4, 3, 3))
    method = FactorTransfer(shapes, shapes, rate=1.0)
    teacher = Signals(features=(torch.randn(8, 4, 3, 3).relu(),))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = method(teacher, teacher, TARGETS, FIRST)["reconstruction"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("rate", "channels"), [(0.5, 4), (0.25, 2), (1.0, 8), (0.01, 1)])
def test_the_rate_sets_the_factors_channels(rate, channels, student_shapes, teacher_shapes):
    method = FactorTransfer(student_shapes, teacher_shapes, rate=rate)
    assert method.paraphraser.encoder[6].out_channels == channels
    assert method.translator[6].out_channels == channels
    assert method.paraphraser.decoder[6].out_channels == 8


def test_encoder_and_decoder_have_three_layers_each():
    found = Paraphraser(6, 3)
    kinds = ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3
    for part in (found.encoder, found.decoder, convolutions(2, 2, 3, 3)):
        assert [type(layer).__name__ for layer in part] == kinds
    assert found(torch.randn(2, 6, 4, 5)).shape == (2, 6, 4, 5)


def test_scale_does_not_matter_and_identity_costs_nothing(gradient):
    t = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    assert factor_loss(7.5 * t, t).item() == pytest.approx(0.0, abs=1e-15)
    assert torch.isfinite(gradient(lambda s: factor_loss(s, t), t)).all()


def test_the_loss_is_a_mean_over_samples():
    s, t = torch.randn(2, 6, 4, 2, 2, dtype=torch.float64)
    halves = [factor_loss(s[half], t[half]) for half in (slice(0, 3), slice(3, 6))]
    assert factor_loss(s, t).item() == pytest.approx(sum(halves).item() / 2, rel=1e-12)


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    s = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    t = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: factor_loss(values, t), s)


@pytest.mark.parametrize("which", ["one sample", "all"])
def test_regression_no_gradient_swamps_at_a_zero_factor(which, gradient):
    torch.manual_seed(0)
    s, t = torch.randn(2, 3, 4, 2, 2)
    s[: 1 if which == "one sample" else 3] = 0.0
    found = gradient(lambda values: factor_loss(values, t), s)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 10


@pytest.mark.parametrize("progress", [FIRST, LATER])
@pytest.mark.parametrize("value", [0.0, 1e4])
def test_dead_and_extreme_maps_in_half_precision_are_finite(
    value, progress, student_shapes, gradient
):
    method = FactorTransfer(student_shapes, student_shapes)
    f = torch.full((3, *student_shapes.maps[-1]), value, dtype=torch.bfloat16)

    def loss(values):
        pair = Signals(features=(values,)), Signals(features=(-f,))
        return sum(method(*pair, TARGETS, progress).values())

    assert loss(f).dtype == torch.float32
    assert torch.isfinite(loss(f))
    assert torch.isfinite(gradient(loss, f)).all()
    loss(f).backward()
    grads = [p.grad for p in method.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("initialisation", [0.0, 1.0, -0.1])
def test_an_untrained_paraphraser_or_an_absent_term_is_refused(
    initialisation, student_shapes, teacher_shapes
):
    with pytest.raises(MethodError, match="set it above 0 and below 1"):
        FactorTransfer(student_shapes, teacher_shapes, initialisation=initialisation)


@pytest.mark.parametrize("progress", [FIRST, LATER])
def test_one_sample_of_one_position_is_refused_while_training(progress):
    shapes = shapes_of((4, 1, 1))
    method = FactorTransfer(shapes, shapes)
    one = Signals(features=(torch.randn(1, 4, 1, 1),))
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        method(one, one, TARGETS, progress)
    assert torch.isfinite(method.eval()(one, one, TARGETS, progress)["ft"])


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        FactorTransfer(student_shapes, shapes_of())


def test_published_weight(student_shapes, teacher_shapes):
    assert FactorTransfer(student_shapes, teacher_shapes).factor(0.5) == 500.0
