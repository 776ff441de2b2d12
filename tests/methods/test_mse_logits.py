import numpy as np
import pytest
import torch

from kdsearch.methods.mse_logits import mse_logits_loss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
def test_is_the_mean_squared_difference(shape, dtype, tolerance):
    z_s, z_t = np.random.default_rng(0).normal(size=(2, *shape))
    expected = ((z_s - z_t) ** 2).mean()
    found = mse_logits_loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype))
    assert found.item() == pytest.approx(expected, rel=tolerance)
