import numpy as np
import pytest
import torch

from kdsearch.methods.labels import method_config
from kdsearch.methods.mse_logits import MSELogits, mse_logits_loss
from kdsearch.methods.objective import Objective
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
def test_is_the_mean_squared_difference(shape, dtype, tolerance):
    z_s, z_t = np.random.default_rng(0).normal(size=(2, *shape))
    expected = ((z_s - z_t) ** 2).mean()
    found = mse_logits_loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype))
    assert found.item() == pytest.approx(expected, rel=tolerance)


def test_as_published_the_logits_alone_are_learned(student_shapes):
    assert (MSELogits(student_shapes, student_shapes).factor(0.5), MSELogits.ce_weight) == (1.0, 0)
    z_s, z_t = np.random.default_rng(0).normal(size=(2, 5, 7))
    objective = Objective(method_config("mse_logits", {}), student_shapes, student_shapes)
    pair = (Signals(logits=torch.tensor(z)) for z in (z_s, z_t))
    parts = objective(*pair, {"label": Targets(torch.zeros(5, dtype=torch.long))}, 0.5)
    assert set(parts) == {"mse_logits", "loss"}
    assert parts["loss"].item() == pytest.approx(((z_s - z_t) ** 2).mean(), rel=1e-12)
