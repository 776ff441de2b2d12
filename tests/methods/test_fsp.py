from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.fsp import FSP, flow_matrix, fsp_loss
from kdsearch.methods.labels import method_config
from kdsearch.methods.objective import Objective
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from tests.methods.maps import features_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def halved(maps: np.ndarray) -> np.ndarray:
    batch, channels, height, width = maps.shape
    blocks = maps.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return blocks.mean(axis=(3, 5))


def reference_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Position by position, from maps of one size or the first twice as large."""
    if first.shape[2:] != second.shape[2:]:
        first = halved(first)
    flow = np.zeros((len(first), first.shape[1], second.shape[1]))
    height, width = second.shape[2:]
    for h in range(height):
        for w in range(width):
            for i in range(first.shape[1]):
                for j in range(second.shape[1]):
                    flow[:, i, j] += first[:, i, h, w] * second[:, j, h, w]
    return flow / (height * width)


def reference(f_s: list[np.ndarray], f_t: list[np.ndarray]) -> float:
    total = 0.0
    for k in range(len(f_s) - 1):
        difference = reference_flow(f_s[k], f_s[k + 1]) - reference_flow(f_t[k], f_t[k + 1])
        total += (difference**2).mean()
    return total


def projected(method: FSP, maps: list[np.ndarray]) -> list[np.ndarray]:
    found = []
    for layer, values in zip(method.projectors, maps, strict=True):
        if isinstance(layer, torch.nn.Conv2d):
            weight = layer.weight.detach().double().numpy()[:, :, 0, 0]
            bias = layer.bias.detach().double().numpy()[None, :, None, None]
            values = np.einsum("oi,bihw->bohw", weight, values) + bias
        found.append(values)
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1, 2, 2), (1, 2, 2)),
        ((3, 8, 6), (5, 4, 3)),
        ((4, 3, 5), (2, 3, 5)),
        ((6, 2, 2), (3, 1, 1)),
    ],
)
def test_flow_is_the_papers(first, second, dtype, tolerance):
    rng = np.random.default_rng(0)
    f_1, f_2 = rng.normal(size=(3, *first)), rng.normal(size=(3, *second))
    found = flow_matrix(torch.tensor(f_1, dtype=dtype), torch.tensor(f_2, dtype=dtype))
    assert found.shape == (3, first[0], second[0])
    assert found.numpy() == pytest.approx(reference_flow(f_1, f_2), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    "stages",
    [((3, 4, 4), (4, 4, 4)), ((2, 8, 8), (3, 4, 4), (5, 2, 2)), ((4, 6, 2), (4, 6, 2), (4, 3, 1))],
)
def test_pairs_of_stages_are_summed(stages, dtype, tolerance):
    shapes = shapes_of(*stages)
    f_s, f_t = random_maps(shapes), random_maps(shapes, seed=1)
    method = FSP(shapes, shapes)
    found = method(features_of(f_s, dtype), features_of(f_t, dtype), TARGETS, 0.0)["fsp"].item()
    assert found == pytest.approx(reference(f_s, f_t), rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_other_channels_are_projected_to_the_teachers(
    dtype, tolerance, student_shapes, teacher_shapes
):
    f_s, f_t = random_maps(student_shapes), random_maps(teacher_shapes, seed=1)
    method = FSP(student_shapes, teacher_shapes).to(dtype)
    found = method(features_of(f_s, dtype), features_of(f_t, dtype), TARGETS, 0.0)["fsp"].item()
    assert found == pytest.approx(reference(projected(method, f_s), f_t), rel=tolerance)


def test_only_other_channels_are_projected():
    student = shapes_of((4, 8, 8), (3, 4, 4), (8, 2, 2))
    teacher = shapes_of((4, 8, 8), (5, 4, 4), (8, 2, 2))
    method = FSP(student, teacher)
    assert set(method.state_dict()) == {"projectors.1.weight", "projectors.1.bias"}


def test_identical_maps_cost_exactly_nothing(student_shapes, gradient):
    maps = features_of(random_maps(student_shapes), torch.float32)
    method = FSP(student_shapes, student_shapes)
    assert not list(method.parameters())
    assert method(maps, maps, TARGETS, 0.0)["fsp"].item() == 0.0

    def loss(values):
        student = Signals(features=(values, *maps.features[1:]))
        return method(student, maps, TARGETS, 0.0)["fsp"]

    assert (gradient(loss, maps.features[0]) == 0).all()


def test_a_longer_networks_shallow_stages_are_left_out():
    student = shapes_of((4, 4, 4), (5, 2, 2))
    teacher = shapes_of((9, 8, 8), (4, 4, 4), (5, 2, 2))
    f_s, f_t = random_maps(student), random_maps(teacher, seed=1)
    found = FSP(student, teacher)(features_of(f_s), features_of(f_t), TARGETS, 0.0)
    assert found["fsp"].item() == pytest.approx(reference(f_s, f_t[1:]), rel=1e-9)


def test_maps_of_another_size_need_no_pooling_between_the_networks():
    student, teacher = shapes_of((3, 4, 4), (4, 2, 2)), shapes_of((3, 8, 8), (4, 4, 4))
    f_s, f_t = random_maps(student), random_maps(teacher, seed=1)
    found = FSP(student, teacher)(features_of(f_s), features_of(f_t), TARGETS, 0.0)
    assert found["fsp"].item() == pytest.approx(reference(f_s, f_t), rel=1e-9)


def test_the_size_of_a_map_does_not_set_the_size_of_the_flow():
    f_1, f_2 = torch.randn(2, 3, 2, 2), torch.randn(2, 4, 2, 2)
    tiled = flow_matrix(f_1.repeat(1, 1, 3, 3), f_2.repeat(1, 1, 3, 3))
    torch.testing.assert_close(tiled, flow_matrix(f_1, f_2))


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    f_1 = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    f_2 = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    g_t = torch.randn(2, 2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: fsp_loss(flow_matrix(a, b), g_t), (f_1, f_2))


def test_gradient_reaches_every_stage_and_projector(student_shapes, teacher_shapes, random_signals):
    method = FSP(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32, requires_grad=True)
    method(student, teacher, TARGETS, 0.0)["fsp"].backward()
    assert all(f.grad.abs().sum() > 0 for f in student.features)
    assert all(f.grad is None for f in teacher.features)
    parameters = list(method.parameters())
    assert len(parameters) == 6
    assert all(p.grad.abs().sum() > 0 for p in parameters)


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_extreme_maps_in_half_precision_are_finite(value, student_shapes, teacher_shapes, gradient):
    method = FSP(student_shapes, teacher_shapes)
    f_s = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    f_t = tuple(torch.zeros(3, *s, dtype=torch.bfloat16) for s in teacher_shapes.maps)

    def loss(values):
        student = Signals(features=(values, *f_s[1:]))
        return method(student, Signals(features=f_t), TARGETS, 0.0)["fsp"]

    assert loss(f_s[0]).dtype == torch.float32
    assert torch.isfinite(loss(f_s[0]))
    assert torch.isfinite(gradient(loss, f_s[0])).all()


@pytest.mark.parametrize("lacking", ["student", "teacher"])
def test_a_network_of_one_stage_is_refused(lacking, student_shapes):
    one = shapes_of((4, 8, 8))
    pair = (one, student_shapes) if lacking == "student" else (student_shapes, one)
    with pytest.raises(MethodError, match=f"two stages, and the {lacking} has only one"):
        FSP(*pair)


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        FSP(student_shapes, shapes_of())


def test_published_weight_and_initialisation(student_shapes, teacher_shapes):
    method = FSP(student_shapes, teacher_shapes)
    assert [method.factor(progress) for progress in (0.0, 29.9 / 240, 30 / 240, 1.0)] == [
        1,
        1,
        0,
        0,
    ]


def objective_at(progress: float, label: str, shapes) -> tuple[dict[str, float], float]:
    """Parts of a sum's objective, and the flows' loss by hand."""
    f_s, f_t = random_maps(shapes), random_maps(shapes, seed=1)
    z = torch.zeros(3, 7, dtype=torch.float64)
    pair = (replace(features_of(f), logits=z) for f in (f_s, f_t))
    parts = Objective(method_config(label, {}), shapes, shapes)(*pair, {"label": TARGETS}, progress)
    return {name: value.item() for name, value in parts.items()}, reference(f_s, f_t)


def test_at_first_the_flows_alone_train_the_student(student_shapes):
    parts, flows = objective_at(0.05, "kd+fsp", student_shapes)
    assert parts == pytest.approx({"ce": 0, "kd": 0, "fsp": flows, "loss": flows}, rel=1e-9)


def test_then_the_cross_entropy_and_other_terms_train_it(student_shapes):
    parts, _ = objective_at(30 / 240, "fsp", student_shapes)
    ce = np.log(7)
    assert parts == pytest.approx({"ce": ce, "fsp": 0, "loss": ce}, rel=1e-9)


def test_an_initialisation_that_ends_before_the_start_is_refused(student_shapes, teacher_shapes):
    with pytest.raises(
        MethodError, match=r"fsp counts until 0\.1 .* set initialisation above start"
    ):
        FSP(student_shapes, teacher_shapes, initialisation=0.1, start=0.2)
