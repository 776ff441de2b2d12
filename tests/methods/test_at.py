import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.at import AttentionTransfer, attention_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from tests.methods.maps import shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))


def reference(f_s: np.ndarray, f_t: np.ndarray) -> float:
    """From feature maps [B, C, H, W], sample by sample."""
    total, count = 0.0, 0
    for a, b in zip(f_s, f_t, strict=True):
        q_s, q_t = (a**2).mean(axis=0).ravel(), (b**2).mean(axis=0).ravel()
        difference = q_s / np.sqrt((q_s**2).sum()) - q_t / np.sqrt((q_t**2).sum())
        total += (difference**2).sum()
        count += difference.size
    return total / count


def attention(features: np.ndarray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor((features**2).mean(axis=1), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 4, 5), (8, 8, 8)])
def test_is_the_distance_of_normalised_maps(shape, dtype, tolerance):
    batch, height, width = shape
    rng = np.random.default_rng(0)
    f_s = rng.normal(size=(batch, 3, height, width))
    f_t = rng.normal(size=(batch, 5, height, width))
    found = attention_loss(attention(f_s, dtype), attention(f_t, dtype)).item()
    assert found == pytest.approx(reference(f_s, f_t), rel=tolerance)


def test_stages_are_summed(student_shapes, teacher_shapes):
    rng = np.random.default_rng(0)
    f_s = [rng.normal(size=(3, *shape)) for shape in student_shapes.maps]
    f_t = [rng.normal(size=(3, *shape)) for shape in teacher_shapes.maps]
    method = AttentionTransfer(student_shapes, teacher_shapes)
    found = method(
        Signals(attention=tuple(attention(f) for f in f_s)),
        Signals(attention=tuple(attention(f) for f in f_t)),
        TARGETS,
        0.0,
    )
    expected = sum(reference(a, b) for a, b in zip(f_s, f_t, strict=True))
    assert found["at"].item() == pytest.approx(expected, rel=1e-9)


def test_scale_of_a_map_does_not_matter():
    q = torch.rand(3, 4, 4, dtype=torch.float64)
    assert attention_loss(7.5 * q, q).item() == pytest.approx(0.0, abs=1e-15)


def test_more_stages_are_matched_from_the_deepest():
    student = shapes_of((2, 4, 4), (3, 2, 2))
    teacher = shapes_of((2, 8, 8), (4, 4, 4), (5, 2, 2))
    rng = np.random.default_rng(0)
    f_s = [rng.normal(size=(3, *shape)) for shape in student.maps]
    f_t = [rng.normal(size=(3, *shape)) for shape in teacher.maps]
    found = AttentionTransfer(student, teacher)(
        Signals(attention=tuple(attention(f) for f in f_s)),
        Signals(attention=tuple(attention(f) for f in f_t)),
        TARGETS,
        0.0,
    )
    expected = reference(f_s[0], f_t[1]) + reference(f_s[1], f_t[2])
    assert found["at"].item() == pytest.approx(expected, rel=1e-9)


def test_a_larger_map_is_averaged_before_the_comparison():
    student, teacher = shapes_of((2, 4, 4)), shapes_of((2, 2, 2))
    q_s, q_t = torch.rand(3, 4, 4).double(), torch.rand(3, 2, 2).double()
    blocks = q_s.reshape(3, 2, 2, 2, 2).mean(dim=(2, 4))
    found = AttentionTransfer(student, teacher)(
        Signals(attention=(q_s,)), Signals(attention=(q_t,)), TARGETS, 0.0
    )
    assert found["at"].item() == pytest.approx(attention_loss(blocks, q_t).item(), rel=1e-9)


def test_dead_maps_are_finite(gradient):
    q_t = torch.rand(3, 4, 4)
    assert torch.isfinite(attention_loss(torch.zeros(3, 4, 4), q_t))
    found = gradient(lambda f: attention_loss(f.square().mean(dim=1), q_t), torch.zeros(3, 2, 4, 4))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (shapes_of((4, 1, 1), (8, 1, 1)), shapes_of((4, 8, 8), (8, 4, 4))),
        (shapes_of((4, 8, 8)), shapes_of((4, 8, 8), (8, 1, 1))),
    ],
)
def test_maps_of_one_position_are_refused(student, teacher):
    with pytest.raises(MethodError, match="larger than 1×1"):
        AttentionTransfer(student, teacher)


@pytest.mark.parametrize("larger", [(8, 2, 1), (8, 1, 2)])
def test_one_pair_of_larger_maps_is_enough(larger):
    shapes = shapes_of((4, 1, 1), larger)
    assert AttentionTransfer.unfit(shapes, shapes) is None
