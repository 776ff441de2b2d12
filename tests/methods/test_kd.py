import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.methods.kd import kd_loss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 4.0, 10.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
def test_is_hintons_formula(shape, temperature, dtype, tolerance):
    rng = np.random.default_rng(0)
    z_s, z_t = 3 * rng.normal(size=(2, *shape))
    p_s, p_t = softmax(z_s / temperature, axis=1), softmax(z_t / temperature, axis=1)
    expected = temperature**2 * (p_t * np.log(p_t / p_s)).sum() / shape[0]
    found = kd_loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype), temperature)
    assert found.item() == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_regression_divides_by_the_batch_and_not_by_the_classes():
    # One class gains a constant: with uniform teacher and K classes the divergence is a closed
    # form in K, which a mean over classes would shrink K-fold.
    for classes in (2, 10, 100):
        z_t = torch.zeros(4, classes, dtype=torch.float64)
        z_s = z_t.clone()
        z_s[:, 0] = 1.0
        expected = np.log((classes - 1 + np.e) / classes) - 1 / classes
        assert kd_loss(z_s, z_t, 1.0).item() == pytest.approx(expected, abs=1e-12)


def test_regression_temperature_squared_keeps_the_gradient(gradient):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 8, 10, dtype=torch.float64)
    norms = [gradient(lambda z, t=t: kd_loss(z, z_t, t), z_s).norm() for t in (50.0, 500.0)]
    assert (norms[0] / norms[1]).item() == pytest.approx(1.0, abs=0.03)


def test_high_temperature_limit_regresses_centred_logits(gradient):
    # Hinton et al. 2015, section 2.1: T² · dKL/dz tends to (z_s − z_t) / K for centred logits.
    torch.manual_seed(1)
    z_s, z_t = torch.randn(2, 1, 10, dtype=torch.float64)
    z_s, z_t = z_s - z_s.mean(), z_t - z_t.mean()
    found = gradient(lambda z: kd_loss(z, z_t, 1e4), z_s)
    torch.testing.assert_close(found, (z_s - z_t) / 10, rtol=1e-2, atol=1e-4)
