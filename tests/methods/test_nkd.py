import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.errors import MethodError
from kdsearch.methods.nkd import NKD, others_loss, target_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes


def target_of_one(z_s, z_t, label, temperature):
    return -softmax(z_t)[label] * np.log(softmax(z_s)[label])


def others_of_one(z_s, z_t, label, temperature):
    """The paper's renormalisation, on probabilities: each over its sum without the target's."""
    p_s, p_t = softmax(z_s / temperature), softmax(z_t / temperature)
    rest = [i for i in range(len(z_s)) if i != label]
    sum_s, sum_t = sum(p_s[i] for i in rest), sum(p_t[i] for i in rest)
    return -(temperature**2) * sum(p_t[i] / sum_t * np.log(p_s[i] / sum_s) for i in rest)


REFERENCES = {"target": target_of_one, "others": others_of_one}


def loss_of(part, z_s, z_t, labels, temperature):
    if part == "target":
        return target_loss(z_s, z_t, labels)
    return others_loss(z_s, z_t, labels, temperature)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (16, 100)])
@pytest.mark.parametrize("part", REFERENCES)
def test_parts_are_the_papers(part, shape, temperature, dtype, tolerance):
    rng = np.random.default_rng(0)
    z_s, z_t = 2 * rng.normal(size=(2, *shape))
    labels = rng.integers(shape[1], size=shape[0])
    one = REFERENCES[part]
    expected = [one(z_s[i], z_t[i], labels[i], temperature) for i in range(shape[0])]
    found = loss_of(
        part,
        torch.tensor(z_s, dtype=dtype),
        torch.tensor(z_t, dtype=dtype),
        torch.tensor(labels),
        temperature,
    )
    assert found.numpy() == pytest.approx(np.array(expected), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("part", REFERENCES)
def test_gradient_is_that_of_finite_differences(part):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 4, 5, dtype=torch.float64)
    labels = torch.randint(5, (4,))
    assert torch.autograd.gradcheck(
        lambda z: loss_of(part, z, z_t, labels, 3.0).mean(), (z_s.requires_grad_(),)
    )


def test_the_others_are_best_where_they_are_the_teachers(gradient):
    # A cross-entropy: its smallest value is the teacher's entropy over the other classes.
    torch.manual_seed(0)
    z_t = torch.randn(6, 7, dtype=torch.float64)
    labels = torch.randint(7, (6,))
    found = gradient(lambda z: others_loss(z, z_t, labels, 2.0).mean(), z_t)
    assert found.abs().max() < 1e-12
    best = others_loss(z_t, z_t, labels, 2.0)
    shifted = z_t.clone()
    shifted[torch.arange(6), labels] += 3.0  # the target's own logit is no part of it
    torch.testing.assert_close(others_loss(shifted, z_t, labels, 2.0), best)
    for _ in range(5):
        assert (others_loss(torch.randn_like(z_t), z_t, labels, 2.0) > best).all()


def test_the_targets_gradient_is_the_teachers_sureness_of_a_cross_entropy(gradient):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 7, dtype=torch.float64)
    labels = torch.randint(7, (6,))
    found = gradient(lambda z: target_loss(z, z_t, labels).sum(), z_s)
    hot = torch.nn.functional.one_hot(labels, 7)
    sureness = (z_t.softmax(dim=1) * hot).sum(dim=1, keepdim=True)
    torch.testing.assert_close(found, sureness * (z_s.softmax(dim=1) - hot))


def test_regression_temperature_squared_keeps_the_gradient(gradient):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 8, 10, dtype=torch.float64)
    labels = torch.randint(10, (8,))
    norms = [
        gradient(lambda z, t=t: others_loss(z, z_t, labels, t).mean(), z_s).norm()
        for t in (50.0, 500.0)
    ]
    assert (norms[0] / norms[1]).item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gap", [104.0, 1e4])
@pytest.mark.parametrize("wrong", [False, True])
def test_regression_log_sum_exp_stays_finite(wrong, gap, dtype, student_shapes):
    z_t = torch.zeros(4, 7)
    z_t[:, 2] = gap
    z_s = torch.zeros(4, 7)
    z_s[:, 3 if wrong else 2] = gap
    z_s = z_s.to(dtype).requires_grad_()
    method = NKD(student_shapes, student_shapes)
    for label in (2, 3, 0):
        targets = Targets(torch.full((4,), label))
        parts = method(Signals(logits=z_s), Signals(logits=z_t.to(dtype)), targets, 1.0)
        for value in parts.values():
            assert torch.isfinite(value)
            (found,) = torch.autograd.grad(value, z_s, retain_graph=True)
            assert torch.isfinite(found).all()


def test_the_others_are_told_apart_behind_a_gap_of_ten_thousand():
    # The probabilities of the other classes are all 0 in floating point; their shares are not.
    z = torch.tensor([[1e4, 1.0, 0.0]])
    p = softmax(np.array([1.0, 0.0]))
    found = others_loss(z, z, torch.tensor([0]), 1.0).item()
    assert found == pytest.approx(-(p * np.log(p)).sum(), rel=1e-6)


def parts_of(method, z_s, z_t, targets):
    parts = method(Signals(logits=z_s), Signals(logits=z_t), targets, 0.5)
    return {name: value.item() for name, value in parts.items()}


def test_gamma_and_temperature_are_used(student_shapes):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 7, dtype=torch.float64)
    labels = torch.randint(7, (6,))
    method = NKD(student_shapes, student_shapes, gamma=3.5, temperature=3.0)
    found = parts_of(method, z_s, z_t, Targets(labels))
    assert found["target"] == pytest.approx(target_loss(z_s, z_t, labels).mean().item())
    expected = 3.5 * others_loss(z_s, z_t, labels, 3.0).mean().item()
    assert found["others"] == pytest.approx(expected)


def test_published_values_are_defaults_or_in_the_search(student_shapes):
    values = NKD(student_shapes, student_shapes).values
    assert (values["weight"], values["temperature"], values["gamma"]) == (1.0, 1.0, 1.5)
    for name, cifar in (("temperature", 3.0), ("gamma", 3.5)):
        search = NKD.hyperparameters[name].search
        assert search.low <= cifar <= search.high


def test_mixup_takes_the_expectation_over_both_labels(student_shapes):
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(2, 6, 7))
    first, second = rng.integers(7, size=(2, 6))
    share = rng.uniform(size=6)
    expected = {}
    for part, weight in (("target", 1.0), ("others", 1.5)):
        one = REFERENCES[part]
        blended = [
            share[i] * one(z_s[i], z_t[i], first[i], 1.0)
            + (1 - share[i]) * one(z_s[i], z_t[i], second[i], 1.0)
            for i in range(6)
        ]
        expected[part] = weight * np.mean(blended)
    targets = Targets(torch.tensor(first), torch.tensor(second), torch.tensor(share))
    found = parts_of(
        NKD(student_shapes, student_shapes), torch.tensor(z_s), torch.tensor(z_t), targets
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_one_class_is_refused():
    shapes = SignalShapes(classes=1, embedding=4, features=())
    with pytest.raises(MethodError, match="at least 2 classes"):
        NKD(shapes, shapes)
