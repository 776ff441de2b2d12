import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.methods.dist import DIST, inter_class_loss, intra_class_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals


def reference(z_s, z_t, temperature, axis):
    """T² · mean (1 − ρ), ρ from NumPy's own correlation matrix."""
    p_s, p_t = softmax(z_s / temperature, axis=1), softmax(z_t / temperature, axis=1)
    pairs = zip(p_s, p_t, strict=True) if axis == 1 else zip(p_s.T, p_t.T, strict=True)
    return temperature**2 * np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in pairs])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("shape", [(3, 4), (5, 3), (16, 50)])
@pytest.mark.parametrize(("loss", "axis"), [(inter_class_loss, 1), (intra_class_loss, 0)])
def test_is_one_minus_pearson(loss, axis, shape, temperature, dtype, tolerance):
    z_s, z_t = np.random.default_rng(0).normal(size=(2, *shape))
    expected = reference(z_s, z_t, temperature, axis)
    found = loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype), temperature)
    # float32 rounds each correlation, so the error is relative to the range of the loss, 2 T².
    assert found.item() == pytest.approx(expected, abs=tolerance * 2 * temperature**2)


@pytest.mark.parametrize("loss", [inter_class_loss, intra_class_loss])
def test_regression_sign_identical_outputs_score_best(loss):
    torch.manual_seed(0)
    z = torch.randn(12, 5, dtype=torch.float64)
    assert loss(z, z, 4.0).item() == 0.0
    for seed in range(20):
        other = torch.randn(12, 5, generator=torch.Generator().manual_seed(seed)).double()
        assert loss(other, z, 4.0).item() > 0.1


@pytest.mark.parametrize("loss", [inter_class_loss, intra_class_loss])
def test_opposite_outputs_score_two_temperatures_squared(loss):
    # With two classes the rows of −z are those of z mirrored: ρ = −1 in rows and in columns.
    z = torch.randn(6, 2, dtype=torch.float64)
    assert loss(-z, z, 3.0).item() == pytest.approx(2 * 9.0)


@pytest.mark.parametrize("loss", [inter_class_loss, intra_class_loss])
def test_constant_outputs_are_finite_and_identical_ones_cost_nothing(loss, gradient):
    flat = torch.zeros(6, 4)
    teacher = torch.randn(6, 4)
    assert loss(flat, flat, 4.0).item() == 0.0
    assert torch.isfinite(loss(flat, teacher, 4.0))
    assert torch.isfinite(gradient(lambda z: loss(z, teacher, 4.0), flat)).all()


def test_beta_gamma_and_temperature_are_used(student_shapes):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 7, dtype=torch.float64)
    method = DIST(student_shapes, student_shapes, beta=0.5, gamma=3.0, temperature=2.0)
    targets = Targets(torch.zeros(6, dtype=torch.long))
    found = method(Signals(logits=z_s), Signals(logits=z_t), targets, 1.0)
    assert found["inter"].item() == pytest.approx(0.5 * reference(z_s.numpy(), z_t.numpy(), 2.0, 1))
    assert found["intra"].item() == pytest.approx(3.0 * reference(z_s.numpy(), z_t.numpy(), 2.0, 0))
