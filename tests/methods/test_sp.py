import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.sp import SimilarityPreserving, similarity_loss, unit_rows
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes

TARGETS = Targets(torch.zeros(6, dtype=torch.long))


def reference(f_s: np.ndarray, f_t: np.ndarray) -> float:
    """Pair by pair: ‖G_s − G_t‖²_F / B², G the Gram matrix with rows of norm 1."""
    batch = len(f_s)

    def rows(maps: np.ndarray) -> np.ndarray:
        found = np.zeros((batch, batch))
        for i in range(batch):
            gram = [(maps[i] * maps[j]).sum() for j in range(batch)]
            length = np.sqrt(sum(value**2 for value in gram))
            found[i] = [value / length if length > 0 else 0.0 for value in gram]
        return found

    g_s, g_t = rows(f_s), rows(f_t)
    squares = [(g_s[i, j] - g_t[i, j]) ** 2 for i in range(batch) for j in range(batch)]
    return sum(squares) / batch**2


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("batch", "student", "teacher"),
    [(1, (2, 3, 3), (4, 3, 3)), (2, (1, 1, 1), (3, 2, 2)), (7, (3, 4, 4), (5, 2, 6))],
)
def test_is_the_papers_formula(batch, student, teacher, dtype, tolerance):
    rng = np.random.default_rng(0)
    f_s, f_t = rng.normal(size=(batch, *student)), rng.normal(size=(batch, *teacher))
    found = similarity_loss(torch.tensor(f_s, dtype=dtype), torch.tensor(f_t, dtype=dtype)).item()
    assert found == pytest.approx(reference(f_s, f_t), rel=tolerance, abs=1e-12)


def test_gradient_is_the_formulas():
    torch.manual_seed(0)
    f_s = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    f_t = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: similarity_loss(f, f_t), (f_s,))


def test_only_the_last_map_is_compared(student_shapes, teacher_shapes, random_signals):
    student = random_signals(student_shapes, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, requires_grad=True)
    method = SimilarityPreserving(student_shapes, teacher_shapes)
    parts = method(student, teacher, TARGETS, 0.0)
    maps = [signals.features[-1].detach().numpy() for signals in (student, teacher)]
    assert parts["sp"].item() == pytest.approx(reference(*maps), rel=1e-9)
    parts["sp"].backward()
    assert [f.grad is not None for f in student.features] == [False, False, True]
    assert all(f.grad is None for f in teacher.features)


def test_identical_and_scaled_maps_cost_nothing():
    f_t = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    assert similarity_loss(f_t, f_t).item() == 0.0
    assert similarity_loss(1e3 * f_t, f_t).item() == pytest.approx(0.0, abs=1e-24)
    for _ in range(5):
        assert similarity_loss(torch.randn_like(f_t), f_t) > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dead", ["one", "all", "all alike", "nearly one"])
def test_regression_zero_rows_neither_break_nor_swamp_the_gradient(dead, dtype, gradient):
    torch.manual_seed(0)
    f_s, f_t = torch.randn(5, 3, 2, 2, dtype=dtype), torch.randn(5, 3, 2, 2, dtype=dtype)
    if dead == "one":
        f_s[2] = 0
    elif dead == "nearly one":
        f_s[2] *= 1e-15
    elif dead == "all":
        f_s.zero_()
    else:
        f_s[:] = f_s[0].clone()
    expected = reference(*(np.where(abs(f) < 1e-12, 0.0, f) for f in (f_s.numpy(), f_t.numpy())))
    assert similarity_loss(f_s, f_t).item() == pytest.approx(expected, rel=1e-5)
    found = gradient(lambda f: similarity_loss(f, f_t), f_s)
    assert torch.isfinite(found).all()
    # A division by a tiny epsilon would be finite too, and swamp every other gradient.
    assert found.abs().max() < 10


def test_unit_rows_have_norm_one_whatever_their_scale():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    for scale in (1e-30, 1.0, 1e30):
        torch.testing.assert_close(unit_rows(scale * rows), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_large_half_precision_maps_stay_finite(dtype, student_shapes, gradient):
    torch.manual_seed(0)
    # The Gram matrix of such maps is far above what float16 can hold.
    f_s, f_t = (1e4 * torch.randn(2, 6, 6, 2, 2)).to(dtype)
    method = SimilarityPreserving(student_shapes, student_shapes)

    def loss(maps):
        return method(Signals(features=(maps,)), Signals(features=(f_t,)), TARGETS, 0.0)["sp"]

    assert loss(f_s).dtype == torch.float32
    expected = reference(f_s.double().numpy(), f_t.double().numpy())
    assert loss(f_s).item() == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(gradient(loss, f_s)).all()


def test_published_weight_and_refusal_of_networks_without_maps(student_shapes):
    method = SimilarityPreserving(student_shapes, student_shapes)
    assert method.factor(0.5) == 3000.0
    assert method.batchwise
    assert not list(method.parameters())
    without = SignalShapes(classes=7, embedding=5, features=())
    with pytest.raises(MethodError, match="compares stages, and the teacher has none"):
        SimilarityPreserving(student_shapes, without)
