import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.fitnet import FitNet
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from kdsearch.testing import identity_projectors
from tests.methods.maps import conv_bn, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))


def loss_of(method, f_s, f_t):
    return method(Signals(features=f_s), Signals(features=f_t), TARGETS, 0.0)["fitnet"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("channels", [(1, 1), (3, 5), (6, 2)])
@pytest.mark.parametrize("side", [1, 4])
def test_is_the_mean_squared_error_of_the_regression(side, channels, dtype, tolerance):
    student, teacher = (shapes_of((c, side, side)) for c in channels)
    method = FitNet(student, teacher, stage=1).to(dtype)
    rng = np.random.default_rng(0)
    f_s = rng.normal(size=(3, channels[0], side, side))
    f_t = rng.normal(size=(3, channels[1], side, side))
    regressed = np.maximum(conv_bn(method.projector, f_s), 0)
    expected = ((regressed - f_t) ** 2).mean()
    found = loss_of(
        method, (torch.tensor(f_s, dtype=dtype),), (torch.tensor(f_t, dtype=dtype),)
    ).item()
    assert found == pytest.approx(expected, rel=tolerance)


def test_a_larger_map_is_averaged_before_the_comparison():
    method = FitNet(shapes_of((2, 4, 4)), shapes_of((3, 2, 2)), stage=1).double()
    f_s, f_t = torch.randn(3, 2, 4, 4).double(), torch.randn(3, 3, 2, 2).double()
    blocks = f_s.reshape(3, 2, 2, 2, 2, 2).mean(dim=(3, 5)).numpy()
    expected = ((np.maximum(conv_bn(method.projector, blocks), 0) - f_t.numpy()) ** 2).mean()
    assert loss_of(method, (f_s,), (f_t,)).item() == pytest.approx(expected, rel=1e-9)


def test_identity_regressor_and_identical_rectified_maps_cost_nothing():
    shapes = shapes_of((4, 6, 6), (5, 3, 3))
    method = FitNet(shapes, shapes).eval()
    identity_projectors(method)
    maps = (torch.rand(3, 4, 6, 6), torch.rand(3, 5, 3, 3))
    assert loss_of(method, maps, maps).item() == pytest.approx(0.0, abs=1e-12)


def test_the_hint_layers_nonlinearity_lets_nothing_below_zero_through():
    # Normalised values are below 0 half of the time: the student is not asked to be there.
    method = FitNet(shapes_of((2, 4, 4)), shapes_of((3, 4, 4)), stage=1).double()
    f_s = torch.randn(3, 2, 4, 4).double()
    expected = (np.maximum(conv_bn(method.projector, f_s.numpy()), 0) ** 2).mean()
    found = loss_of(method, (f_s,), (torch.zeros(3, 3, 4, 4).double(),)).item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_published_weight(student_shapes, teacher_shapes):
    assert FitNet(student_shapes, teacher_shapes).factor(0.5) == 100.0


def test_one_sample_of_one_position_is_refused_while_training():
    method = FitNet(shapes_of((2, 1, 1)), shapes_of((3, 1, 1)), stage=1)
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        loss_of(method, (torch.randn(1, 2, 1, 1),), (torch.randn(1, 3, 1, 1),))


def test_published_stage_is_the_second(student_shapes, teacher_shapes):
    method = FitNet(student_shapes, teacher_shapes)
    assert (method.projector[0].in_channels, method.projector[0].out_channels) == (4, 5)


def test_a_shorter_network_answers_at_the_same_relative_depth():
    student = shapes_of((2, 8, 8))
    teacher = shapes_of((3, 8, 8), (4, 4, 4), (5, 2, 2))
    method = FitNet(student, teacher, stage=2)
    assert (method.projector[0].in_channels, method.projector[0].out_channels) == (2, 4)
    f_t = tuple(torch.randn(3, *shape) for shape in teacher.maps)
    assert torch.isfinite(loss_of(method, (torch.randn(3, 2, 8, 8),), f_t))


@pytest.mark.parametrize("stage", [0, 4, 1.5, -1])
def test_a_stage_nobody_has_is_refused(stage, student_shapes, teacher_shapes):
    with pytest.raises(MethodError, match=r"stage to a whole number from 1 to 3"):
        FitNet(student_shapes, teacher_shapes, stage=stage)


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="compares stages, and the teacher has none"):
        FitNet(student_shapes, shapes_of())


def test_regression_projector_is_registered_and_saved(student_shapes, teacher_shapes):
    method = FitNet(student_shapes, teacher_shapes)
    names = {name for name, _ in method.named_parameters()}
    assert names == {"projector.0.weight", "projector.1.weight", "projector.1.bias"}
    assert names <= set(method.state_dict())
