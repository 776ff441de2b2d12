import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.hyperparameter import WEIGHT_RANGE
from kdsearch.methods.kd import kd_loss
from kdsearch.methods.logit_std import LogitStandardization, logit_std_loss, standardize
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes


def standardized(row: np.ndarray) -> np.ndarray:
    mean = sum(row) / len(row)
    variance = sum((z - mean) ** 2 for z in row) / (len(row) - 1)
    return (row - mean) / (1e-7 + np.sqrt(variance))


def reference(z_s: np.ndarray, z_t: np.ndarray, temperature: float) -> float:
    total = 0.0
    for row_s, row_t in zip(z_s, z_t, strict=True):
        e_s = np.exp(standardized(row_s) / temperature)
        e_t = np.exp(standardized(row_t) / temperature)
        p_s, p_t = e_s / e_s.sum(), e_t / e_t.sum()
        total += sum(t * np.log(t / s) for s, t in zip(p_s, p_t, strict=True))
    return temperature**2 * total / len(z_s)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 6.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
def test_is_the_papers_formula(shape, temperature, dtype, tolerance):
    rng = np.random.default_rng(0)
    z_s, z_t = 3 * rng.normal(size=(2, *shape)) + 5
    found = logit_std_loss(
        torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype), temperature
    )
    expected = reference(z_s, z_t, temperature)
    assert found.item() == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: logit_std_loss(z, z_t, 2.0), (z_s.requires_grad_(),), raise_exception=True
    )


def test_the_deviation_is_that_of_a_sample():
    # Of (1, −1) the sample's deviation is √2, the population's 1.
    found = standardize(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    assert found.numpy() == pytest.approx(np.array([[1, -1]]) / np.sqrt(2), rel=1e-6)


def test_the_published_epsilon_is_added_to_the_deviation():
    row = torch.tensor([[1e-7, -1e-7, 0.0]], dtype=torch.float64)  # of deviation 1e-7
    assert standardize(row).numpy() == pytest.approx(np.array([[0.5, -0.5, 0.0]]), rel=1e-9)


def test_size_and_offset_of_the_students_logits_do_not_matter():
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 7, dtype=torch.float64)
    once = logit_std_loss(z_s, z_t, 2.0).item()
    assert logit_std_loss(30 * z_s + 4, z_t, 2.0).item() == pytest.approx(once, rel=1e-5)
    assert logit_std_loss(30 * z_t + 4, z_t, 2.0).item() == pytest.approx(0.0, abs=1e-12)
    assert kd_loss(30 * z_s + 4, z_t, 2.0).item() != pytest.approx(once, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("constant", [0.0, 0.3, -1e4])
def test_regression_constant_logits_have_no_direction(constant, dtype, student_shapes):
    method = LogitStandardization(student_shapes, student_shapes)
    torch.manual_seed(0)
    random = torch.randn(4, 7)
    alike = torch.full((4, 7), constant)
    targets = Targets(torch.zeros(4, dtype=torch.long))
    for z_s, z_t in ((alike, random), (random, alike), (alike, alike)):
        leaf = z_s.to(dtype).requires_grad_()
        loss = method(Signals(logits=leaf), Signals(logits=z_t.to(dtype)), targets, 0.5)[
            "logit_std"
        ]
        (found,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(loss)
        # A division by a tiny epsilon would be finite too, and swamp every other gradient.
        assert found.abs().max() < 10
    assert loss.item() == 0.0


def test_one_constant_row_leaves_the_others_gradient(gradient):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 4, 7, dtype=torch.float64)
    whole = gradient(lambda z: logit_std_loss(z, z_t, 2.0), z_s)
    flat = z_s.clone()
    flat[2] = 0.1
    found = gradient(lambda z: logit_std_loss(z, z_t, 2.0), flat)
    assert found[2].abs().max() == 0
    torch.testing.assert_close(found[[0, 1, 3]], whole[[0, 1, 3]], rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_regression_gaps_of_ten_thousand_are_finite(dtype, gradient):
    z_t = torch.zeros(3, 7)
    z_t[:, 2] = 1e4
    z_s = -z_t.roll(1, dims=1)
    for s in (z_s, z_t):
        found = gradient(
            lambda z: logit_std_loss(z.float(), z_t.to(dtype).float(), 2.0), s.to(dtype)
        )
        assert torch.isfinite(found).all()


def test_published_values_are_the_defaults(student_shapes):
    method = LogitStandardization(student_shapes, student_shapes)
    assert (method.values["weight"], method.values["temperature"]) == (9.0, 2.0)
    assert (method.ce_weight, method.kind) == (0.1, "logit")
    assert method.hyperparameters["weight"].search == WEIGHT_RANGE


def test_the_temperature_is_used(student_shapes):
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(2, 5, 7))
    method = LogitStandardization(student_shapes, student_shapes, temperature=3.0)
    signals = Signals(logits=torch.tensor(z_s)), Signals(logits=torch.tensor(z_t))
    found = method(*signals, Targets(torch.zeros(5, dtype=torch.long)), 0.0)
    assert found.keys() == {"logit_std"}
    assert found["logit_std"].item() == pytest.approx(reference(z_s, z_t, 3.0), rel=1e-9)


def test_one_class_is_refused():
    shapes = SignalShapes(classes=1, embedding=4, features=())
    with pytest.raises(MethodError, match="at least 2 classes"):
        LogitStandardization(shapes, shapes)
