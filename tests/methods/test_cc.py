import math

import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.cc import CorrelationCongruence, congruence_loss, correlation
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes

TARGETS = Targets(torch.zeros(6, dtype=torch.long))


def kernel(e: np.ndarray, gamma: float, order: int) -> np.ndarray:
    found = np.zeros((len(e), len(e)))
    for i, x in enumerate(e):
        for j, y in enumerate(e):
            lengths = np.linalg.norm(x) * np.linalg.norm(y)
            product = x @ y / lengths if lengths > 0 else 0.0
            for p in range(order + 1):
                factor = math.exp(-2 * gamma) * (2 * gamma) ** p / math.factorial(p)
                found[i, j] += factor * product**p
    return found


def reference(e_s: np.ndarray, e_t: np.ndarray, gamma: float = 0.4, order: int = 2) -> float:
    c_s, c_t = kernel(e_s, gamma, order), kernel(e_t, gamma, order)
    squares = [(s - t) ** 2 for s, t in zip(c_s.flat, c_t.flat, strict=True)]
    return sum(squares) / len(squares)


def loss_of(method, e_s, e_t):
    return method(Signals(embedding=e_s), Signals(embedding=e_t), TARGETS, 0.0)["cc"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("gamma", "order"), [(0.4, 2), (1.0, 1), (0.1, 4)])
@pytest.mark.parametrize(("batch", "lengths"), [(2, (3, 3)), (5, (4, 9)), (9, (16, 2))])
def test_is_the_papers_formula(batch, lengths, gamma, order, dtype, tolerance):
    rng = np.random.default_rng(0)
    e_s, e_t = (rng.normal(size=(batch, length)) ** 3 for length in lengths)
    tensors = torch.tensor(e_s, dtype=dtype), torch.tensor(e_t, dtype=dtype)
    found = congruence_loss(*tensors, gamma, order).item()
    assert found == pytest.approx(reference(e_s, e_t, gamma, order), rel=tolerance)


def test_the_series_tends_to_the_gaussian_kernel():
    e = np.random.default_rng(0).normal(size=(6, 4))
    x = e / np.linalg.norm(e, axis=1, keepdims=True)
    gaussian = np.exp(-0.7 * ((x[:, None] - x[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(correlation(torch.tensor(e), 0.7, 20).numpy(), gaussian, rtol=1e-9)


def test_gradient_is_the_formulas():
    torch.manual_seed(0)
    e_s = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    e_t = torch.randn(5, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e: congruence_loss(e, e_t, 0.4, 2), (e_s,))


def test_identical_and_scaled_embeddings_cost_nothing():
    e_t = torch.randn(6, 4, dtype=torch.float64)
    assert congruence_loss(e_t, e_t, 0.4, 2).item() == 0.0
    assert congruence_loss(1e3 * e_t, e_t, 0.4, 2).item() == pytest.approx(0.0, abs=1e-24)
    for _ in range(5):
        assert congruence_loss(torch.randn_like(e_t), e_t, 0.4, 2) > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alike", ["one zero", "all zero", "all alike"])
def test_regression_gradient_is_safe_at_zero(alike, dtype, gradient):
    torch.manual_seed(0)
    e_s, e_t = torch.randn(6, 4, dtype=dtype), torch.randn(6, 3, dtype=dtype)
    if alike == "one zero":
        e_s[1] = 0
    elif alike == "all zero":
        e_s.zero_()
    else:
        e_s[:] = e_s[0].clone()
    expected = reference(e_s.double().numpy(), e_t.double().numpy())
    assert congruence_loss(e_s, e_t, 0.4, 2).item() == pytest.approx(expected, rel=1e-5)
    found = gradient(lambda e: congruence_loss(e, e_t, 0.4, 2), e_s)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 10


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("dimension", [3, 7, 128])
def test_both_projections_are_used(dimension, dtype, tolerance, student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = CorrelationCongruence(student_shapes, teacher_shapes, dimension=dimension).to(dtype)
    rng = np.random.default_rng(0)
    e_s, e_t = rng.normal(size=(6, 5)), rng.normal(size=(6, 9))
    weight, bias = (p.detach().double().numpy() for p in method.projector.parameters())
    rotation = method.rotation.double().numpy()
    assert rotation.shape == (dimension, 9)
    expected = reference(
        np.einsum("od,bd->bo", weight, e_s) + bias, np.einsum("od,bd->bo", rotation, e_t)
    )
    found = loss_of(method, torch.tensor(e_s, dtype=dtype), torch.tensor(e_t, dtype=dtype))
    assert found.item() == pytest.approx(expected, rel=tolerance)


def test_the_teachers_cosines_survive_a_long_enough_projection(student_shapes, teacher_shapes):
    method = CorrelationCongruence(student_shapes, teacher_shapes).double()
    torch.testing.assert_close(
        method.rotation.T @ method.rotation, torch.eye(9).double(), atol=1e-6, rtol=0
    )
    short = CorrelationCongruence(student_shapes, teacher_shapes, dimension=4).double()
    torch.testing.assert_close(
        short.rotation @ short.rotation.T, torch.eye(4).double(), atol=1e-6, rtol=0
    )


def test_a_student_projected_as_the_teacher_costs_nothing(student_shapes):
    method = CorrelationCongruence(student_shapes, student_shapes).double()
    with torch.no_grad():
        method.projector.weight.copy_(method.rotation)
        method.projector.bias.zero_()
    e = torch.randn(6, 5, dtype=torch.float64)
    assert loss_of(method, e, e).item() == pytest.approx(0.0, abs=1e-24)


def test_regression_the_projections_cannot_collapse(student_shapes, teacher_shapes):
    # Were the teacher's projection learnable, both could map all samples to one: loss 0.
    torch.manual_seed(0)
    method = CorrelationCongruence(student_shapes, teacher_shapes)
    e_s, e_t = torch.randn(6, 5), torch.randn(6, 9)
    before = method.rotation.clone()
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss_of(method, e_s, e_t).backward()
        optimizer.step()
    assert torch.equal(method.rotation, before)
    with torch.no_grad():
        for parameter in method.projector.parameters():
            parameter.zero_()
        method.projector.bias.fill_(1.0)
    assert loss_of(method, e_s, e_t) > 0.01


def test_gradient_reaches_student_and_projector_alone(
    student_shapes, teacher_shapes, random_signals
):
    method = CorrelationCongruence(student_shapes, teacher_shapes).double()
    student = random_signals(student_shapes, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, requires_grad=True)
    loss_of(method, student.embedding, teacher.embedding).backward()
    assert student.embedding.grad.abs().sum() > 0
    assert teacher.embedding.grad is None
    assert {name for name, _ in method.named_parameters()} == {
        "projector.weight",
        "projector.bias",
    }
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_the_fixed_matrix_is_saved_and_seeded(student_shapes, teacher_shapes):
    def made(seed: int) -> CorrelationCongruence:
        torch.manual_seed(seed)
        return CorrelationCongruence(student_shapes, teacher_shapes)

    one, other = made(0), made(1)
    assert torch.equal(one.rotation, made(0).rotation)
    assert not torch.equal(one.rotation, other.rotation)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.rotation, other.rotation)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype, student_shapes, teacher_shapes, gradient):
    torch.manual_seed(0)
    method = CorrelationCongruence(student_shapes, teacher_shapes)
    e_s, e_t = 1e4 * torch.randn(6, 5), 1e4 * torch.randn(6, 9)
    e_s, e_t = e_s.to(dtype), e_t.to(dtype)
    found = loss_of(method, e_s, e_t)
    assert found.dtype == torch.float32
    exact = loss_of(method.double(), e_s.double(), e_t.double()).item()
    assert found.item() == pytest.approx(exact, rel=1e-5)
    assert torch.isfinite(gradient(lambda e: loss_of(method.float(), e, e_t), e_s)).all()


def test_published_values_and_refusal_of_networks_without_embedding(student_shapes):
    method = CorrelationCongruence(student_shapes, student_shapes)
    assert method.factor(0.5) == 100.0
    assert (method.values["gamma"], method.values["order"]) == (0.4, 2.0)
    assert method.projector.out_features == 128
    assert method.batchwise
    without = SignalShapes(classes=7, embedding=0, features=())
    with pytest.raises(MethodError, match="embeddings, and the group of teachers has none"):
        CorrelationCongruence(student_shapes, without)
