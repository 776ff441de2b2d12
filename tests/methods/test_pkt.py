import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.pkt import PKT, neighbour_probabilities, transfer_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes

TARGETS = Targets(torch.zeros(6, dtype=torch.long))


def probabilities(e: np.ndarray, epsilon: float = 1e-7) -> np.ndarray:
    batch = len(e)
    p = np.empty((batch, batch))
    for i in range(batch):
        for j in range(batch):
            lengths = np.linalg.norm(e[i]) * np.linalg.norm(e[j])
            p[i, j] = ((e[i] @ e[j] / lengths if lengths > 0 else 0.0) + 1) / 2 + epsilon
        p[i] /= p[i].sum()
    return p


def reference(e_s: np.ndarray, e_t: np.ndarray, epsilon: float = 1e-7) -> float:
    p_s, p_t = probabilities(e_s, epsilon), probabilities(e_t, epsilon)
    terms = [t * np.log(t / s) for t, s in zip(p_t.flat, p_s.flat, strict=True)]
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("batch", "lengths"), [(2, (3, 3)), (5, (4, 9)), (12, (16, 2))])
def test_is_the_papers_formula(batch, lengths, dtype, tolerance):
    rng = np.random.default_rng(0)
    e_s, e_t = (rng.normal(size=(batch, length)) ** 3 for length in lengths)
    found = transfer_loss(torch.tensor(e_s, dtype=dtype), torch.tensor(e_t, dtype=dtype)).item()
    assert found == pytest.approx(reference(e_s, e_t), rel=tolerance)


def test_epsilon_does_not_show_where_no_samples_are_opposite():
    rng = np.random.default_rng(0)
    e_s, e_t = rng.uniform(size=(2, 8, 4))
    found = transfer_loss(torch.tensor(e_s), torch.tensor(e_t)).item()
    assert found == pytest.approx(reference(e_s, e_t, epsilon=0.0), rel=1e-5)


def test_gradient_is_the_formulas():
    torch.manual_seed(0)
    e_s = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    e_t = torch.randn(5, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e: transfer_loss(e, e_t), (e_s,))


def test_rows_are_distributions():
    p = neighbour_probabilities(torch.randn(9, 4, dtype=torch.float64))
    assert (p > 0).all()
    torch.testing.assert_close(p.sum(dim=1), torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_regression_identical_embeddings_are_the_minimum(dtype):
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(20):
        e_s, e_t = torch.randn(2, 8, 5, generator=generator, dtype=dtype)
        assert transfer_loss(e_t, e_t).item() == 0.0
        losses.append(transfer_loss(e_s, e_t).item())
    assert min(losses) > 0
    assert np.mean(losses) > 1e-3


def test_no_student_is_better_than_the_teacher_itself():
    # With ε within the logarithm the divergence could fall below 0 beside the minimum.
    generator = torch.Generator().manual_seed(0)
    e_t = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    for step in (1e-2, 1e-4, 1e-6):
        for _ in range(10):
            e_s = e_t + step * torch.randn(e_t.shape, generator=generator, dtype=torch.float64)
            assert transfer_loss(e_s, e_t).item() > -1e-17


def test_scaling_samples_does_not_matter():
    e_t = torch.randn(6, 4, dtype=torch.float64)
    scales = torch.rand(6, 1, dtype=torch.float64) + 0.1
    assert transfer_loss(scales * e_t, e_t).item() == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ["one zero", "all zero", "all alike", "opposite", "one sample"])
def test_regression_finite_where_cosines_are_extreme(case, dtype, gradient):
    torch.manual_seed(0)
    e_s, e_t = torch.randn(6, 4, dtype=dtype), torch.randn(6, 3, dtype=dtype)
    if case == "one zero":
        e_s[2] = 0
    elif case == "all zero":
        e_s.zero_()
    elif case == "all alike":
        e_s[:] = e_s[0].clone()
    elif case == "opposite":
        # Rounding takes some of these cosines below −1.
        e_s[3:], e_t[3:] = -e_s[:3], -e_t[:3]
    else:
        e_s, e_t = e_s[:1], e_t[:1]
    found = transfer_loss(e_s, e_t)
    expected = reference(e_s.double().numpy(), e_t.double().numpy())
    assert found.item() == pytest.approx(expected, rel=1e-3 if case == "opposite" else 1e-5)
    slope = gradient(lambda e: transfer_loss(e, e_t), e_s)
    assert torch.isfinite(slope).all()
    assert slope.abs().max() < 10
    if case == "one zero":
        assert not slope[2].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype, student_shapes, gradient):
    torch.manual_seed(0)
    e_s, e_t = (1e4 * torch.randn(2, 6, 5)).to(dtype)
    method = PKT(student_shapes, student_shapes)

    def loss(e):
        return method(Signals(embedding=e), Signals(embedding=e_t), TARGETS, 0.0)["pkt"]

    assert loss(e_s).dtype == torch.float32
    expected = reference(e_s.double().numpy(), e_t.double().numpy())
    assert loss(e_s).item() == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(gradient(loss, e_s)).all()


def test_teacher_gets_no_gradient(student_shapes, teacher_shapes, random_signals):
    student = random_signals(student_shapes, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, requires_grad=True)
    PKT(student_shapes, teacher_shapes)(student, teacher, TARGETS, 0.0)["pkt"].backward()
    assert student.embedding.grad.abs().sum() > 0
    assert teacher.embedding.grad is None


def test_published_weight_and_refusal_of_networks_without_embedding(student_shapes):
    method = PKT(student_shapes, student_shapes)
    assert method.factor(0.5) == 30000.0
    assert method.batchwise
    without = SignalShapes(classes=7, embedding=0, features=())
    with pytest.raises(MethodError, match="embeddings, and the group of teachers has none"):
        PKT(student_shapes, without)
