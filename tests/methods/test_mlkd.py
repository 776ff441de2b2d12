import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.errors import MethodError
from kdsearch.methods.labels import method_config
from kdsearch.methods.mlkd import MLKD, batch_loss, class_loss
from kdsearch.methods.objective import Objective
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes


def batch_reference(z_s, z_t, temperature):
    p_s, p_t = softmax(z_s / temperature, axis=1), softmax(z_t / temperature, axis=1)
    count = len(z_s)
    total = 0.0
    for a in range(count):
        for b in range(count):
            total += (sum(p_s[a] * p_s[b]) - sum(p_t[a] * p_t[b])) ** 2
    return total / count


def class_reference(z_s, z_t, temperature):
    p_s, p_t = softmax(z_s / temperature, axis=1), softmax(z_t / temperature, axis=1)
    classes = z_s.shape[1]
    total = 0.0
    for i in range(classes):
        for j in range(classes):
            total += (sum(p_s[:, i] * p_s[:, j]) - sum(p_t[:, i] * p_t[:, j])) ** 2
    return total / classes


def instance_reference(z_s, z_t, temperature):
    p_s, p_t = softmax(z_s / temperature, axis=1), softmax(z_t / temperature, axis=1)
    return temperature**2 * (p_t * np.log(p_t / p_s)).sum() / len(z_s)


GRAMS = pytest.mark.parametrize(
    ("loss", "reference"), [(batch_loss, batch_reference), (class_loss, class_reference)]
)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (8, 30), (24, 4)])
@GRAMS
def test_is_the_papers_formula(loss, reference, shape, temperature, dtype, tolerance):
    rng = np.random.default_rng(0)
    z_s, z_t = 2 * rng.normal(size=(2, *shape))
    found = loss(torch.tensor(z_s, dtype=dtype), torch.tensor(z_t, dtype=dtype), temperature)
    expected = reference(z_s, z_t, temperature)
    assert found.item() == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("loss", [batch_loss, class_loss])
def test_gradient_is_that_of_finite_differences(loss):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, z_t, 2.0), (z_s.requires_grad_(),))


def test_closed_form_of_a_sure_student_and_an_unsure_teacher():
    # All samples in one class: G_s is 1 everywhere and M_s has one entry B; a uniform teacher has
    # 1/C everywhere in G_t and B/C² in M_t.
    count, classes = 6, 4
    z_s = torch.zeros(count, classes, dtype=torch.float64)
    z_s[:, 1] = 1e4
    z_t = torch.zeros_like(z_s)
    batch = count**2 * (1 - 1 / classes) ** 2 / count
    pairs = count**2 * ((1 - 1 / classes**2) ** 2 + (classes**2 - 1) / classes**4) / classes
    assert batch_loss(z_s, z_t, 1.0).item() == pytest.approx(batch, rel=1e-12)
    assert class_loss(z_s, z_t, 1.0).item() == pytest.approx(pairs, rel=1e-12)


@pytest.mark.parametrize(("loss", "power"), [(batch_loss, 1), (class_loss, 2)])
def test_a_doubled_batch_follows_the_formula(loss, power):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 5, dtype=torch.float64)
    once = loss(z_s, z_t, 4.0).item()
    twice = loss(z_s.repeat(2, 1), z_t.repeat(2, 1), 4.0).item()
    assert twice == pytest.approx(2**power * once, rel=1e-12)


@pytest.mark.parametrize("loss", [batch_loss, class_loss])
def test_the_order_of_samples_does_not_matter(loss):
    torch.manual_seed(0)
    z_s, z_t = torch.randn(2, 6, 5, dtype=torch.float64)
    order = torch.randperm(6)
    found = loss(z_s[order], z_t[order], 4.0).item()
    assert found == pytest.approx(loss(z_s, z_t, 4.0).item(), rel=1e-12)


def parts_of(method, z_s, z_t):
    targets = Targets(torch.zeros(len(z_s), dtype=torch.long))
    return method(Signals(logits=z_s), Signals(logits=z_t), targets, 0.5)


@pytest.mark.parametrize("base", [4.0, 1.5, 3.0])
def test_each_level_is_summed_over_the_base_and_four_more_temperatures(base, student_shapes):
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(2, 6, 7))
    values = {"temperature": base, "batch_level": 0.5, "class_level": 2.0}
    parts = parts_of(
        MLKD(student_shapes, student_shapes, **values), torch.tensor(z_s), torch.tensor(z_t)
    )
    expected = {
        part: weight * sum(one(z_s, z_t, t) for t in (base, 2.0, 3.0, 5.0, 6.0))
        for part, weight, one in (
            ("instance", 1.0, instance_reference),
            ("batch", 0.5, batch_reference),
            ("class", 2.0, class_reference),
        )
    }
    found = {name: value.item() for name, value in parts.items()}
    assert found == pytest.approx(expected, rel=1e-9)


def test_identical_logits_cost_nothing_and_pull_nowhere(student_shapes):
    torch.manual_seed(0)
    z = torch.randn(6, 7, dtype=torch.float64, requires_grad=True)
    for value in parts_of(MLKD(student_shapes, student_shapes), z, z.detach()).values():
        assert value.item() == pytest.approx(0.0, abs=1e-12)
        (found,) = torch.autograd.grad(value, z, retain_graph=True)
        assert found.abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_regression_gaps_of_ten_thousand_are_finite(dtype, student_shapes):
    z_t = torch.zeros(4, 7)
    z_t[:, 2] = 1e4
    method = MLKD(student_shapes, student_shapes, temperature=1.0)
    for z_s in (z_t, -z_t, z_t.roll(1, dims=1)):
        leaf = z_s.to(dtype).requires_grad_()
        for value in parts_of(method, leaf, z_t.to(dtype)).values():
            assert torch.isfinite(value)
            (found,) = torch.autograd.grad(value, leaf, retain_graph=True)
            assert torch.isfinite(found).all()


def test_published_values_are_the_defaults(student_shapes):
    method = MLKD(student_shapes, student_shapes)
    assert (method.values["weight"], method.values["temperature"]) == (1.35, 4.0)
    assert (method.values["batch_level"], method.values["class_level"]) == (1 / 3, 1 / 3)
    assert (method.ce_weight, method.batchwise) == (0.2, True)


def test_the_default_objective_is_that_of_the_published_numbers(student_shapes):
    rng = np.random.default_rng(0)
    z_s, z_t = rng.normal(size=(2, 6, 7))
    labels = np.arange(6)
    objective = Objective(method_config("mlkd", {}), student_shapes, student_shapes)
    pair = (Signals(logits=torch.tensor(z)) for z in (z_s, z_t))
    parts = objective(*pair, {"label": Targets(torch.tensor(labels))}, 0.5)
    ce = -np.log(softmax(z_s, axis=1)[labels, labels]).mean()
    instance, batch, classes = (
        sum(one(z_s, z_t, t) for t in (4.0, 2.0, 3.0, 5.0, 6.0))
        for one in (instance_reference, batch_reference, class_reference)
    )
    expected = 0.2 * ce + 1.35 * (instance + (batch + classes) / 3)
    assert parts["loss"].item() == pytest.approx(expected, rel=1e-9)


def test_other_classes_are_refused(student_shapes):
    with pytest.raises(MethodError, match="7 classes, the teacher 10"):
        MLKD(student_shapes, SignalShapes(classes=10, embedding=5, features=()))
