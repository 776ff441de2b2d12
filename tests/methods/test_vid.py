import io

import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.targets import Targets
from kdsearch.methods.vid import VID, Regressor, vid_loss
from kdsearch.models.signals import Signals
from tests.methods.maps import features_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def reference(mean: np.ndarray, f_t: np.ndarray, variance: np.ndarray) -> float:
    """Value by value."""
    terms = []
    for place in np.ndindex(f_t.shape):
        sigma2 = variance[place[1]]
        terms.append(0.5 * ((mean[place] - f_t[place]) ** 2 / sigma2 + np.log(sigma2)))
    return sum(terms) / len(terms)


def predicted(regressor: Regressor, f_s: np.ndarray) -> np.ndarray:
    values = f_s
    for layer in regressor.mean:
        if isinstance(layer, torch.nn.ReLU):
            values = np.maximum(values, 0)
            continue
        weight = layer.weight.detach().double().numpy()[:, :, 0, 0]
        values = np.einsum("oi,bihw->bohw", weight, values)
    return values


def reference_stage(regressor: Regressor, f_s: np.ndarray, f_t: np.ndarray) -> float:
    variance = np.log1p(np.exp(regressor.scale.detach().double().numpy())) + 1e-5
    return reference(predicted(regressor, f_s), f_t, variance)


def vary_scales(method: VID) -> None:
    for regressor in method.regressors:
        torch.nn.init.normal_(regressor.scale, std=2.0)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 2), (4, 2, 3, 3)])
def test_is_the_normal_likelihood(shape, dtype, tolerance):
    rng = np.random.default_rng(0)
    mean, f_t = rng.normal(size=(2, *shape))
    variance = rng.uniform(0.01, 6.0, size=shape[1])
    found = vid_loss(*(torch.tensor(v, dtype=dtype) for v in (mean, f_t, variance))).item()
    assert found == pytest.approx(reference(mean, f_t, variance), rel=tolerance)


def test_is_the_negative_log_density_without_its_constant():
    mean, f_t = torch.randn(2, 3, 4, 2, 2, dtype=torch.float64)
    variance = torch.rand(4, dtype=torch.float64) + 0.1
    normal = torch.distributions.Normal(mean, variance.sqrt()[:, None, None].expand_as(mean))
    expected = -normal.log_prob(f_t).mean() - 0.5 * np.log(2 * np.pi)
    assert vid_loss(mean, f_t, variance).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_stages_are_summed(dtype, tolerance, student_shapes, teacher_shapes):
    torch.manual_seed(0)
    f_s, f_t = random_maps(student_shapes), random_maps(teacher_shapes, seed=1)
    method = VID(student_shapes, teacher_shapes).to(dtype)
    vary_scales(method)
    found = method(features_of(f_s, dtype), features_of(f_t, dtype), TARGETS, 0.0)["vid"].item()
    expected = sum(map(reference_stage, method.regressors, f_s, f_t))
    assert found == pytest.approx(expected, rel=tolerance)


def test_more_stages_are_matched_from_the_deepest():
    student = shapes_of((2, 4, 4), (3, 2, 2))
    teacher = shapes_of((2, 8, 8), (4, 4, 4), (5, 2, 2))
    f_s, f_t = random_maps(student), random_maps(teacher, seed=1)
    method = VID(student, teacher).double()
    found = method(features_of(f_s), features_of(f_t), TARGETS, 0.0)["vid"].item()
    expected = sum(map(reference_stage, method.regressors, f_s, f_t[1:]))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_larger_map_is_averaged_before_the_regression():
    student, teacher = shapes_of((2, 4, 4)), shapes_of((3, 2, 2))
    (f_s,), (f_t,) = random_maps(student), random_maps(teacher, seed=1)
    method = VID(student, teacher).double()
    blocks = f_s.reshape(3, 2, 2, 2, 2, 2).mean(axis=(3, 5))
    found = method(features_of([f_s]), features_of([f_t]), TARGETS, 0.0)["vid"].item()
    assert found == pytest.approx(reference_stage(method.regressors[0], blocks, f_t), rel=1e-9)


@pytest.mark.parametrize("variance", [1e-4, 0.5, 5.0, 200.0])
def test_the_initial_variance_is_as_asked(variance, student_shapes, teacher_shapes):
    method = VID(student_shapes, teacher_shapes, initial_variance=variance)
    for regressor, (channels, *_) in zip(method.regressors, teacher_shapes.maps, strict=True):
        assert regressor.variance.tolist() == pytest.approx([variance] * channels, rel=1e-5)


def test_the_published_variance_is_5(student_shapes, teacher_shapes):
    method = VID(student_shapes, teacher_shapes)
    assert method.factor(0.5) == 1.0
    assert method.regressors[0].variance.tolist() == pytest.approx([5.0] * 4, rel=1e-6)


def test_the_regression_has_no_bias(student_shapes, teacher_shapes):
    names = {name for name, _ in VID(student_shapes, teacher_shapes).named_parameters()}
    ends = ("mean.0.weight", "mean.2.weight", "mean.4.weight", "scale")
    assert names == {f"regressors.{i}.{end}" for i in range(3) for end in ends}


@pytest.mark.parametrize("variance", [0.0, 1e-5, -1.0])
def test_a_variance_near_zero_is_refused(variance, student_shapes, teacher_shapes):
    with pytest.raises(MethodError, match=r"set it to at least 0\.0001"):
        VID(student_shapes, teacher_shapes, initial_variance=variance)


def test_regression_scales_are_learned(student_shapes, teacher_shapes, random_signals):
    torch.manual_seed(0)
    method = VID(student_shapes, teacher_shapes)
    before = [regressor.scale.detach().clone() for regressor in method.regressors]
    student = random_signals(student_shapes, dtype=torch.float32)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    optimizer.zero_grad()
    method(student, teacher, TARGETS, 0.0)["vid"].backward()
    # A variance of 5 is too large for values of variance 1: the loss wants it smaller.
    assert all((regressor.scale.grad > 0).all() for regressor in method.regressors)
    optimizer.step()
    pairs = zip(method.regressors, before, strict=True)
    assert all((regressor.scale < scale).all() for regressor, scale in pairs)


def test_the_variance_tends_to_the_mean_squared_error():
    # Where the regression is fixed, the best variance of a channel is its mean squared error.
    torch.manual_seed(0)
    regressor = Regressor(2, 2, variance=5.0).double()
    f_s, f_t = torch.randn(2, 8, 2, 4, 4, dtype=torch.float64)
    error = (regressor.mean(f_s) - f_t).detach().square().mean(dim=(0, 2, 3))
    optimizer = torch.optim.Adam([regressor.scale], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        regressor(f_s, f_t).backward()
        optimizer.step()
    assert regressor.variance.tolist() == pytest.approx(error.tolist(), rel=1e-3)


def test_regression_trained_scales_are_saved(student_shapes, teacher_shapes, random_signals):
    torch.manual_seed(0)
    method = VID(student_shapes, teacher_shapes)
    vary_scales(method)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    restored = VID(student_shapes, teacher_shapes)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for mine, saved in zip(restored.regressors, method.regressors, strict=True):
        assert torch.equal(mine.scale, saved.scale)
    student = random_signals(student_shapes, dtype=torch.float32)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    losses = [m(student, teacher, TARGETS, 0.0)["vid"].item() for m in (method, restored)]
    assert losses[0] == losses[1]


def test_gradient_reaches_student_and_helpers_and_never_the_teacher(
    student_shapes, teacher_shapes, random_signals
):
    torch.manual_seed(0)
    method = VID(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32, requires_grad=True)
    method(student, teacher, TARGETS, 0.0)["vid"].backward()
    assert all(f.grad.abs().sum() > 0 for f in student.features)
    assert all(f.grad is None for f in teacher.features)
    assert all(p.grad.abs().sum() > 0 for p in method.parameters())


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    mean = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    f_t = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    variance = (torch.rand(3, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, v: vid_loss(m, f_t, v), (mean, variance))


@pytest.mark.parametrize("scale", [-1e4, 1e4])
@pytest.mark.parametrize("value", [0.0, 1e4])
def test_extremes_in_half_precision_are_finite(value, scale, student_shapes, gradient):
    method = VID(student_shapes, student_shapes)
    for regressor in method.regressors:
        torch.nn.init.constant_(regressor.scale, scale)
    f_s = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    f_t = tuple(torch.zeros_like(f) for f in f_s)

    def loss(values):
        student = Signals(features=(values, *f_s[1:]))
        return method(student, Signals(features=f_t), TARGETS, 0.0)["vid"]

    found = loss(f_s[0])
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    assert torch.isfinite(gradient(loss, f_s[0])).all()
    found.backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters())


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="compares stages, and the teacher has none"):
        VID(student_shapes, shapes_of())
