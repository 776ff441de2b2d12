import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.errors import MethodError
from kdsearch.methods.semckd import (
    DIMENSION,
    WIDEST,
    SemCKD,
    calibrated_loss,
    sample_error,
    stage_attention,
)
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from tests.methods.maps import (
    convolved,
    features_of,
    normalised,
    random_maps,
    shapes_of,
    weight_of,
)

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]
SIZES = [(1, 1, 1), (3, 2, 4), (5, 4, 3)]


def reference_attention(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Sample by sample and student's stage by student's stage."""
    attention = np.zeros((len(queries), queries.shape[1], keys.shape[1]))
    for b, s in np.ndindex(*queries.shape[:2]):
        attention[b, s] = softmax(np.array([queries[b, s] @ key for key in keys[b]]))
    return attention


def reference(errors: np.ndarray, attention: np.ndarray) -> float:
    batch, students, teachers = errors.shape
    total = 0.0
    for b, s, t in np.ndindex(batch, students, teachers):
        total += attention[b, s, t] * errors[b, s, t]
    return total / (batch * students)


def embedded(mlp: torch.nn.Sequential, maps: np.ndarray) -> np.ndarray:
    """Mean over the pixels, two linear layers with ReLU between them, norm 1."""
    bias = [mlp[i].bias.detach().double().numpy() for i in (0, 2)]
    hidden = np.maximum(maps.mean(axis=(2, 3)) @ weight_of(mlp[0]).T + bias[0], 0)
    out = hidden @ weight_of(mlp[2]).T + bias[1]
    return out / np.sqrt((out**2).sum(axis=1, keepdims=True))


def projected(projector: torch.nn.Sequential, values: np.ndarray) -> np.ndarray:
    """Two normalised convolutions with ReLU, and a plain one."""
    for i in (0, 3):
        values = np.maximum(normalised(convolved(weight_of(projector[i]), values)), 0)
    return convolved(weight_of(projector[6]), values)


def halved(values: np.ndarray, side: int) -> np.ndarray:
    """Averages of square blocks, down to a height and width of ``side``."""
    block = values.shape[2] // side
    return values.reshape(*values.shape[:2], side, block, side, block).mean(axis=(3, 5))


def reference_semckd(method: SemCKD, f_s: list[np.ndarray], f_t: list[np.ndarray]) -> float:
    errors = np.zeros((len(f_s[0]), len(f_s), len(f_t)))
    for s, t in np.ndindex(len(f_s), len(f_t)):
        side = min(f_s[s].shape[2], f_t[t].shape[2])
        answer = projected(method.projectors[s][t], halved(f_s[s], side))
        target = halved(f_t[t], side)
        for b in range(len(errors)):
            errors[b, s, t] = ((answer[b] - target[b]) ** 2).mean()
    if len(f_t) == 1:
        return reference(errors, np.ones_like(errors))
    queries = [embedded(mlp, f) for mlp, f in zip(method.queries, f_s, strict=True)]
    keys = [embedded(mlp, f) for mlp, f in zip(method.keys, f_t, strict=True)]
    attention = reference_attention(np.stack(queries, axis=1), np.stack(keys, axis=1))
    return reference(errors, attention)


def semckd_of(method: SemCKD, student: Signals, teacher: Signals) -> torch.Tensor:
    return method(student, teacher, TARGETS, 0.0)["semckd"]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("size", SIZES)
def test_attention_is_the_papers(size, dtype, tolerance):
    batch, students, teachers = size
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(batch, students, 6)), rng.normal(size=(batch, teachers, 6))
    found = stage_attention(torch.tensor(queries, dtype=dtype), torch.tensor(keys, dtype=dtype))
    expected = reference_attention(queries, keys)
    assert found.numpy() == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert found.sum(dim=2).numpy() == pytest.approx(np.ones((batch, students)), rel=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("size", SIZES)
def test_loss_is_the_papers(size, dtype, tolerance):
    errors, attention = np.random.default_rng(0).uniform(size=(2, *size))
    found = calibrated_loss(
        torch.tensor(errors, dtype=dtype), torch.tensor(attention, dtype=dtype)
    ).item()
    assert found == pytest.approx(reference(errors, attention), rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_errors_are_means_over_the_values_of_a_sample(dtype, tolerance):
    s, t = np.random.default_rng(0).normal(size=(2, 4, 3, 2, 5))
    expected = [
        sum((a - b) ** 2 for a, b in zip(x.ravel(), y.ravel(), strict=True)) / x.size
        for x, y in zip(s, t, strict=True)
    ]
    found = sample_error(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype))
    assert found.tolist() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (((3, 8, 8), (4, 4, 4), (6, 2, 2)), ((4, 8, 8), (5, 4, 4), (8, 2, 2))),
        (((3, 4, 4),), ((4, 8, 8), (2, 2, 2))),
        (((3, 8, 8), (2, 4, 4)), ((5, 4, 4),)),
        (((2, 4, 4), (3, 2, 2)), ((3, 8, 8), (2, 4, 4), (4, 2, 2), (2, 1, 1))),
    ],
)
@pytest.mark.parametrize("batch", [3, 5])
def test_all_pairs_of_stages_are_compared(batch, student, teacher, dtype, tolerance):
    torch.manual_seed(0)
    student, teacher = shapes_of(*student), shapes_of(*teacher)
    method = SemCKD(student, teacher).to(dtype)
    f_s, f_t = random_maps(student, batch), random_maps(teacher, batch, seed=1)
    found = semckd_of(method, features_of(f_s, dtype), features_of(f_t, dtype)).item()
    assert found == pytest.approx(reference_semckd(method, f_s, f_t), rel=tolerance)


def test_a_samples_attention_does_not_depend_on_the_others(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = SemCKD(student_shapes, teacher_shapes).double().eval()
    f_s, f_t = random_maps(student_shapes, 6), random_maps(teacher_shapes, 6, seed=1)
    halves = [
        semckd_of(method, features_of([f[half] for f in f_s]), features_of([f[half] for f in f_t]))
        for half in (slice(0, 2), slice(2, 6))
    ]
    whole = semckd_of(method, features_of(f_s), features_of(f_t)).item()
    assert whole == pytest.approx((2 * halves[0].item() + 4 * halves[1].item()) / 6, rel=1e-12)
    assert not SemCKD.batchwise


def test_attention_moves_towards_the_stage_that_is_easier_to_follow():
    torch.manual_seed(0)
    queries = torch.randn(1, 1, 4, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(1, 2, 4, dtype=torch.float64)
    errors = torch.tensor([[[1.0, 9.0]]], dtype=torch.float64)
    before = stage_attention(queries, keys)
    calibrated_loss(errors, before).backward()
    after = stage_attention(queries - 0.1 * queries.grad, keys)
    assert after[0, 0, 0] > before[0, 0, 0]


def test_published_facts(student_shapes, teacher_shapes):
    weight = SemCKD.hyperparameters["weight"]
    assert (weight.default, weight.search.low, weight.search.high) == (400.0, 20.0, 2000.0)
    assert SemCKD.ce_weight == 1.0
    method = SemCKD(student_shapes, teacher_shapes)
    assert method.keys[0][2].out_features == method.queries[0][2].out_features == DIMENSION


@pytest.mark.parametrize(("channels", "middle"), [(3, 6), (256, 512), (300, WIDEST)])
def test_projectors_have_twice_the_teachers_channels_within(channels, middle):
    method = SemCKD(shapes_of((2, 1, 1)), shapes_of((channels, 1, 1)))
    assert method.projectors[0][0][0].out_channels == middle


def test_with_one_teacher_stage_nothing_is_chosen(student_shapes):
    method = SemCKD(student_shapes, shapes_of((4, 2, 2)))
    assert len(method.queries) == len(method.keys) == 0
    assert {name.split(".")[0] for name, _ in method.named_parameters()} == {"projectors"}


@pytest.mark.parametrize(
    ("students", "teachers"), [(slice(None), slice(None)), (slice(2, 3), slice(None))]
)
def test_gradient_reaches_student_and_helpers_and_never_the_teacher(
    students, teachers, student_shapes, teacher_shapes
):
    torch.manual_seed(0)
    shapes = shapes_of(*student_shapes.maps[students])
    method = SemCKD(shapes, teacher_shapes)
    student = features_of(random_maps(shapes, 6), torch.float32)
    teacher = features_of(random_maps(teacher_shapes, 6, seed=1), torch.float32)
    for values in (*student.features, *teacher.features):
        values.requires_grad_()
    semckd_of(method, student, teacher).backward()
    assert all(values.grad.abs().sum() > 0 for values in student.features)
    assert all(values.grad is None for values in teacher.features)
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 3, 2, 4, dtype=torch.float64).requires_grad_()
    maps = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    targets = torch.randn(4, 3, 2, 2, 2, dtype=torch.float64)

    def loss(f_s, q, k):
        errors = torch.stack([sample_error(f_s, t) for t in targets], dim=1).reshape(3, 2, 2)
        return calibrated_loss(errors, stage_attention(q, k))

    leaves = [values.detach().requires_grad_() for values in (maps, queries, keys)]
    assert torch.autograd.gradcheck(loss, leaves)


def test_identity_costs_nothing(gradient):
    t = torch.randn(3, 4, 2, 2)
    assert (sample_error(t, t) == 0).all()
    assert (gradient(lambda s: sample_error(s, t).sum(), t) == 0).all()


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_dead_and_extreme_maps_in_half_precision_are_finite(value, student_shapes, gradient):
    method = SemCKD(student_shapes, student_shapes)
    maps = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    teacher = Signals(features=tuple(-values for values in maps))

    def loss(values):
        return semckd_of(method, Signals(features=(*maps[:-1], values)), teacher)

    assert loss(maps[-1]).dtype == torch.float32
    assert torch.isfinite(loss(maps[-1]))
    assert torch.isfinite(gradient(loss, maps[-1])).all()
    loss(maps[-1]).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in method.parameters())


def test_training_brings_the_student_to_the_teacher():
    torch.manual_seed(0)
    shapes = shapes_of((4, 4, 4), (6, 2, 2))
    method = SemCKD(shapes, shapes)
    teacher = features_of(random_maps(shapes, batch=6), torch.float32)
    values = [torch.randn_like(f).requires_grad_() for f in teacher.features]
    optimizer = torch.optim.Adam([*values, *method.parameters()], lr=0.02)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = semckd_of(method, Signals(features=tuple(values)), teacher)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_helpers_are_saved(student_shapes, teacher_shapes):
    method = SemCKD(student_shapes, teacher_shapes)
    names = {name for name, _ in method.named_parameters()}
    assert {name.split(".")[0] for name in names} == {"queries", "keys", "projectors"}
    assert names <= set(method.state_dict())


def test_one_sample_of_one_position_is_refused_while_training():
    shapes = shapes_of((4, 1, 1))
    method = SemCKD(shapes, shapes)
    one = Signals(features=(torch.randn(1, 4, 1, 1),))
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        semckd_of(method, one, one)
    assert torch.isfinite(semckd_of(method.eval(), one, one))


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        SemCKD(student_shapes, shapes_of())
