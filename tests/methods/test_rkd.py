from itertools import product

import numpy as np
import pytest
import torch

from kdsearch.methods.rkd import RKD, angle_loss, distance_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals


def huber(x: float) -> float:
    return 0.5 * x**2 if abs(x) <= 1 else abs(x) - 0.5


def reference_distance(s: np.ndarray, t: np.ndarray) -> float:
    count = len(s)

    def potentials(e: np.ndarray) -> dict[tuple[int, int], float]:
        d = {(i, j): np.linalg.norm(e[i] - e[j]) for i, j in product(range(count), repeat=2)}
        mu = np.mean([d[i, j] for i, j in d if i != j])
        return {pair: value / mu for pair, value in d.items()}

    d_s, d_t = potentials(s), potentials(t)
    return np.mean([huber(d_s[pair] - d_t[pair]) for pair in d_s])


def reference_angle(s: np.ndarray, t: np.ndarray) -> float:
    def cosine(e: np.ndarray, i: int, j: int, k: int) -> float:
        a, b = e[j] - e[i], e[k] - e[i]
        if not a.any() or not b.any():
            return 0.0
        return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))

    triples = list(product(range(len(s)), repeat=3))
    return np.mean([huber(cosine(s, *triple) - cosine(t, *triple)) for triple in triples])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("batch", "lengths"), [(2, (3, 3)), (5, (4, 9)), (9, (16, 2))])
@pytest.mark.parametrize(
    ("loss", "reference"),
    [(distance_loss, reference_distance), (angle_loss, reference_angle)],
)
def test_is_the_papers_formula(loss, reference, batch, lengths, dtype, tolerance):
    rng = np.random.default_rng(0)
    s, t = (rng.normal(size=(batch, length)) ** 3 for length in lengths)
    found = loss(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype)).item()
    assert found == pytest.approx(reference(s, t), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(
    ("loss", "reference", "changes"),
    [(distance_loss, reference_distance, True), (angle_loss, reference_angle, False)],
)
def test_a_doubled_batch_follows_the_formula(loss, reference, changes):
    # A sample and its double are a new pair at distance 0, which lowers the mean distance. The
    # angles' mean over all B³ triples gains as many zeros in proportion, and stays.
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 5))
    s2, t2 = np.concatenate([s, s]), np.concatenate([t, t])
    found = loss(torch.tensor(s2), torch.tensor(t2)).item()
    assert found == pytest.approx(reference(s2, t2), rel=1e-9)
    assert (found != pytest.approx(reference(s, t), rel=1e-6)) == changes


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_scaling_and_shifting_the_student_does_not_matter(loss):
    t = torch.randn(6, 4, dtype=torch.float64)
    assert loss(1e3 * t + 5, t).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alike", ["two", "all", "one sample"])
def test_regression_gradient_is_safe_at_distance_zero(alike, dtype, loss, gradient):
    torch.manual_seed(0)
    s, t = torch.randn(6, 4, dtype=dtype), torch.randn(6, 3, dtype=dtype)
    if alike == "two":
        s[1] = s[0]
    elif alike == "all":
        s[:] = s[0].clone()
    else:
        s, t = s[:1], t[:1]
    assert torch.isfinite(loss(s, t))
    found = gradient(lambda e: loss(e, t), s)
    assert torch.isfinite(found).all()
    # A division by a tiny epsilon would be finite too, and swamp every other gradient.
    assert found.abs().max() < 10


def test_the_two_weights_are_used(student_shapes, teacher_shapes):
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(5, 5)), rng.normal(size=(5, 9))
    signals = Signals(embedding=torch.tensor(s)), Signals(embedding=torch.tensor(t))
    targets = Targets(torch.zeros(5, dtype=torch.long))
    published = RKD(student_shapes, teacher_shapes)(*signals, targets, 0.0)
    assert published["distance"].item() == pytest.approx(25 * reference_distance(s, t))
    assert published["angle"].item() == pytest.approx(50 * reference_angle(s, t))
    own = RKD(student_shapes, teacher_shapes, distance=1.0, angle=0.0)(*signals, targets, 0.0)
    assert own["distance"].item() == pytest.approx(reference_distance(s, t))
    assert own["angle"].item() == 0.0
