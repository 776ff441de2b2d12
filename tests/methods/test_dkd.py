import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.errors import MethodError
from kdsearch.methods.dkd import DKD, nckd_loss, tckd_loss
from kdsearch.methods.kd import kd_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes


def tckd_of_one(z_s, z_t, label, temperature):
    """Equation 5 of the paper, on probabilities, one sample."""
    p_s, p_t = softmax(z_s / temperature)[label], softmax(z_t / temperature)[label]
    divergence = p_t * np.log(p_t / p_s) + (1 - p_t) * np.log((1 - p_t) / (1 - p_s))
    return temperature**2 * divergence


def nckd_of_one(z_s, z_t, label, temperature):
    p_s = softmax(np.delete(z_s, label) / temperature)
    p_t = softmax(np.delete(z_t, label) / temperature)
    return temperature**2 * (p_t * np.log(p_t / p_s)).sum()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
@pytest.mark.parametrize(
    ("loss", "reference"), [(tckd_loss, tckd_of_one), (nckd_loss, nckd_of_one)]
)
def test_parts_are_the_papers(loss, reference, shape, temperature, dtype, tolerance):
    rng = np.random.default_rng(0)
    z_s, z_t = 2 * rng.normal(size=(2, *shape))
    labels = rng.integers(shape[1], size=shape[0])
    expected = [reference(z_s[i], z_t[i], labels[i], temperature) for i in range(shape[0])]
    found = loss(
        torch.tensor(z_s, dtype=dtype),
        torch.tensor(z_t, dtype=dtype),
        torch.tensor(labels),
        temperature,
    )
    assert found.numpy() == pytest.approx(np.array(expected), rel=tolerance, abs=tolerance)


def test_kd_is_tckd_plus_nckd_weighted_with_the_teachers_doubt():
    # Zhao et al. 2022, equation 7: KD = TCKD + (1 − p_t) · NCKD, for every sample.
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 8, 5, dtype=torch.float64)
    labels = torch.randint(5, (8,))
    temperature = 3.0
    p_t = (z_t / temperature).softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    parts = tckd_loss(z_s, z_t, labels, temperature) + (1 - p_t) * nckd_loss(
        z_s, z_t, labels, temperature
    )
    assert parts.mean().item() == pytest.approx(kd_loss(z_s, z_t, temperature).item(), rel=1e-12)


@pytest.mark.parametrize("loss", [tckd_loss, nckd_loss])
def test_regression_temperature_squared_on_both_branches(loss, gradient):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 8, 10, dtype=torch.float64)
    labels = torch.randint(10, (8,))
    norms = [
        gradient(lambda z, t=t: loss(z, z_t, labels, t).mean(), z_s).norm() for t in (50.0, 500.0)
    ]
    assert (norms[0] / norms[1]).item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gap", [104 * 4, 1e4])
@pytest.mark.parametrize("wrong", [False, True])
def test_regression_log_sum_exp_stays_finite(wrong, gap, dtype, student_shapes):
    z_t = torch.zeros(4, 7)
    z_t[:, 2] = gap
    z_s = torch.zeros(4, 7)
    z_s[:, 3 if wrong else 2] = gap
    z_s = z_s.to(dtype).requires_grad_()
    method = DKD(student_shapes, student_shapes)
    for label in (2, 3, 0):
        targets = Targets(torch.full((4,), label))
        parts = method(Signals(logits=z_s), Signals(logits=z_t.to(dtype)), targets, 1.0)
        for value in parts.values():
            assert torch.isfinite(value)
            (found,) = torch.autograd.grad(value, z_s, retain_graph=True)
            assert torch.isfinite(found).all()


def test_a_gap_of_ten_thousand_costs_what_the_limit_says():
    # The teacher is sure of class 0, the student of class 1: KL tends to gap / T · T².
    z_t, z_s = torch.tensor([[1e4, 0.0, 0.0]]), torch.tensor([[0.0, 1e4, 0.0]])
    found = tckd_loss(z_s, z_t, torch.tensor([0]), 4.0)
    assert found.item() == pytest.approx(4.0 * 1e4, rel=1e-6)


def parts_of(method, z_s, z_t, targets, progress=1.0):
    parts = method(Signals(logits=z_s), Signals(logits=z_t), targets, progress)
    return {name: value.item() for name, value in parts.items()}


def test_alpha_beta_and_temperature_are_used(student_shapes):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 7, dtype=torch.float64)
    labels = torch.randint(7, (6,))
    method = DKD(student_shapes, student_shapes, alpha=0.5, beta=3.0, temperature=2.0)
    found = parts_of(method, z_s, z_t, Targets(labels))
    assert found["tckd"] == pytest.approx(0.5 * tckd_loss(z_s, z_t, labels, 2.0).mean().item())
    assert found["nckd"] == pytest.approx(3.0 * nckd_loss(z_s, z_t, labels, 2.0).mean().item())


def test_the_published_ramp_takes_20_of_240_epochs(student_shapes):
    method = DKD(student_shapes, student_shapes)
    assert method.factor(10 / 240) == pytest.approx(0.5)
    assert method.factor(20 / 240) == pytest.approx(1.0)


def test_mixup_takes_the_expectation_over_both_labels(student_shapes):
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(2, 6, 7))
    first, second = rng.integers(7, size=(2, 6))
    share = rng.uniform(size=6)
    temperature = 4.0
    expected = {
        name: weight
        * np.mean(
            [
                share[i] * one(z_s[i], z_t[i], first[i], temperature)
                + (1 - share[i]) * one(z_s[i], z_t[i], second[i], temperature)
                for i in range(6)
            ]
        )
        for name, weight, one in (("tckd", 1.0, tckd_of_one), ("nckd", 8.0, nckd_of_one))
    }
    targets = Targets(torch.tensor(first), torch.tensor(second), torch.tensor(share))
    found = parts_of(
        DKD(student_shapes, student_shapes), torch.tensor(z_s), torch.tensor(z_t), targets
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_one_class_is_refused():
    shapes = SignalShapes(classes=1, embedding=4, features=())
    with pytest.raises(MethodError, match="at least 2 classes"):
        DKD(shapes, shapes)
