import numpy as np
import pytest
import torch

from kdsearch.methods.hard_label import hard_label_loss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
def test_is_the_cross_entropy_with_the_teachers_decision(shape, dtype, tolerance):
    z_s, z_t = np.random.default_rng(0).normal(size=(2, *shape))
    p_s = np.exp(z_s) / np.exp(z_s).sum(axis=1, keepdims=True)
    expected = np.mean([-np.log(p[z.argmax()]) for p, z in zip(p_s, z_t, strict=True)])
    found = hard_label_loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype))
    assert found.item() == pytest.approx(expected, rel=tolerance)


def test_only_the_teachers_decision_counts():
    z_s, z_t = torch.randn(2, 6, 4, dtype=torch.float64)
    assert hard_label_loss(z_s, z_t).item() == hard_label_loss(z_s, 100 * z_t + 3).item()


def test_minimum_is_a_student_sure_of_that_decision():
    z_t = torch.randn(6, 4, dtype=torch.float64)
    sure = 1e3 * torch.nn.functional.one_hot(z_t.argmax(dim=1), 4).double()
    assert hard_label_loss(sure, z_t).item() == 0.0
    assert hard_label_loss(-sure, z_t).item() > 900
