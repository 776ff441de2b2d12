import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.nst import NST, nst_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from tests.methods.maps import features_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def mean_kernel(x: np.ndarray, y: np.ndarray) -> float:
    """Of the channels [C, H, W] of one sample, pair by pair."""
    kernels = []
    for a in x:
        for b in y:
            cosine = (a * b).sum() / (np.sqrt((a**2).sum()) * np.sqrt((b**2).sum()))
            kernels.append(cosine**2)
    return sum(kernels) / len(kernels)


def reference(f_s: np.ndarray, f_t: np.ndarray) -> float:
    found = [
        mean_kernel(t, t) + mean_kernel(s, s) - 2 * mean_kernel(s, t)
        for s, t in zip(f_s, f_t, strict=True)
    ]
    return sum(found) / len(found)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("channels", [(1, 1), (3, 5), (6, 2)])
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 2, 2), (3, 4, 5), (4, 1, 3)])
def test_is_the_discrepancy_of_normalised_channels(
    batch, height, width, channels, dtype, tolerance
):
    rng = np.random.default_rng(0)
    f_s, f_t = (rng.normal(size=(batch, c, height, width)) for c in channels)
    found = nst_loss(torch.tensor(f_s, dtype=dtype), torch.tensor(f_t, dtype=dtype)).item()
    assert found == pytest.approx(reference(f_s, f_t), rel=tolerance, abs=tolerance)


def test_is_the_distance_of_the_mean_outer_products():
    # The kernel's features are the products of two positions: the discrepancy is a square.
    rng = np.random.default_rng(1)
    f_s, f_t = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 5, 6))
    u_s, u_t = (f / np.linalg.norm(f, axis=2, keepdims=True) for f in (f_s, f_t))
    mean_s, mean_t = (np.einsum("bcp,bcq->bpq", u, u) / u.shape[1] for u in (u_s, u_t))
    expected = ((mean_s - mean_t) ** 2).sum(axis=(1, 2)).mean()
    found = nst_loss(torch.tensor(f_s)[..., None], torch.tensor(f_t)[..., None])
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_stages_are_summed(student_shapes, teacher_shapes):
    f_s, f_t = random_maps(student_shapes), random_maps(teacher_shapes, seed=1)
    method = NST(student_shapes, teacher_shapes)
    found = method(features_of(f_s), features_of(f_t), TARGETS, 0.0)
    expected = sum(reference(a, b) for a, b in zip(f_s, f_t, strict=True))
    assert found["nst"].item() == pytest.approx(expected, rel=1e-9)


def test_more_stages_are_matched_from_the_deepest():
    student = shapes_of((2, 4, 4), (3, 2, 2))
    teacher = shapes_of((2, 8, 8), (4, 4, 4), (5, 2, 2))
    f_s, f_t = random_maps(student), random_maps(teacher, seed=1)
    found = NST(student, teacher)(features_of(f_s), features_of(f_t), TARGETS, 0.0)
    expected = reference(f_s[0], f_t[1]) + reference(f_s[1], f_t[2])
    assert found["nst"].item() == pytest.approx(expected, rel=1e-9)


def test_a_larger_map_is_averaged_before_the_comparison():
    student, teacher = shapes_of((2, 4, 4)), shapes_of((3, 2, 2))
    (f_s,), (f_t,) = random_maps(student), random_maps(teacher, seed=1)
    blocks = f_s.reshape(3, 2, 2, 2, 2, 2).mean(axis=(3, 5))
    found = NST(student, teacher)(features_of([f_s]), features_of([f_t]), TARGETS, 0.0)
    assert found["nst"].item() == pytest.approx(reference(blocks, f_t), rel=1e-9)


def test_order_scale_and_sign_of_channels_do_not_matter():
    f_t = torch.randn(3, 4, 3, 3, dtype=torch.float64)
    factors = torch.tensor([0.5, -2.0, 7.0, 1.0], dtype=torch.float64)[:, None, None]
    f_s = (factors * f_t)[:, [2, 0, 3, 1]]
    assert nst_loss(f_s, f_t).item() == pytest.approx(0.0, abs=1e-12)
    assert nst_loss(torch.randn_like(f_t), f_t).item() > 1e-3


def test_needs_no_projector(student_shapes, teacher_shapes):
    assert not list(NST(student_shapes, teacher_shapes).parameters())


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    f_s = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    f_t = torch.randn(2, 4, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: nst_loss(f, f_t), f_s)


@pytest.mark.parametrize("dead", ["student", "teacher", "both", "one channel", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_regression_dead_channels_are_finite(dtype, dead, gradient):
    torch.manual_seed(0)
    student, teacher = shapes_of((3, 4, 4)), shapes_of((5, 4, 4))
    f_s, f_t = torch.randn(2, 3, 4, 4, dtype=dtype), torch.randn(2, 5, 4, 4, dtype=dtype)
    if dead == "one channel":
        f_s[:, 1], f_t[:, 0] = 0, 0
    if dead in ("student", "both"):
        f_s.zero_()
    if dead in ("teacher", "both"):
        f_t.zero_()
    method = NST(student, teacher)

    def loss(values):
        return method(Signals(features=(values,)), Signals(features=(f_t,)), TARGETS, 0.0)["nst"]

    assert torch.isfinite(loss(f_s))
    found = gradient(loss, f_s)
    assert torch.isfinite(found).all()
    # A norm with a tiny epsilon could be finite too, and swamp every other gradient.
    assert found.abs().max() < 10


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (shapes_of((4, 1, 1), (8, 1, 1)), shapes_of((4, 8, 8), (8, 4, 4))),
        (shapes_of((4, 8, 8)), shapes_of((4, 8, 8), (8, 1, 1))),
    ],
)
def test_maps_of_one_position_are_refused(student, teacher):
    with pytest.raises(MethodError, match="larger than 1×1"):
        NST(student, teacher)


def test_one_pair_of_larger_maps_is_enough():
    shapes = shapes_of((4, 1, 1), (8, 2, 1))
    assert NST.unfit(shapes, shapes) is None


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        NST(student_shapes, shapes_of())


def test_published_weight(student_shapes, teacher_shapes):
    assert NST(student_shapes, teacher_shapes).factor(0.5) == 50.0
