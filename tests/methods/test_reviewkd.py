from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.errors import MethodError
from kdsearch.methods.labels import method_config
from kdsearch.methods.objective import Objective
from kdsearch.methods.reviewkd import WIDEST, ReviewKD, context_loss, resized
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from tests.methods.maps import conv_bn, features_of, preactivations_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def pooled(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Adaptive average pooling, bin by bin."""
    out = np.zeros((*values.shape[:2], height, width))
    for i, j in np.ndindex(height, width):
        top, bottom = i * values.shape[2] // height, -((i + 1) * values.shape[2] // -height)
        left, right = j * values.shape[3] // width, -((j + 1) * values.shape[3] // -width)
        out[:, :, i, j] = values[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return out


def reference(student: np.ndarray, teacher: np.ndarray) -> float:
    """Mean squared errors of the maps, then of their pooled versions with half the last weight."""
    height, width = student.shape[2:]
    total, weight, weights = ((student - teacher) ** 2).mean(), 1.0, 1.0
    for side in (4, 2, 1):
        if side >= max(height, width):
            continue
        size = min(side, height), min(side, width)
        weight /= 2
        weights += weight
        total += weight * ((pooled(student, *size) - pooled(teacher, *size)) ** 2).mean()
    return total / weights


def nearest(values: np.ndarray, height: int, width: int) -> np.ndarray:
    out = np.zeros((*values.shape[:2], height, width))
    for i, j in np.ndindex(height, width):
        row, column = i * values.shape[2] // height, j * values.shape[3] // width
        out[:, :, i, j] = values[:, :, row, column]
    return out


def fused(gate: torch.nn.Conv2d, shallow: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Two sigmoid attention maps from both maps together, and their weighted sum."""
    weight, bias = (p.detach().double().numpy() for p in (gate.weight, gate.bias))
    both = np.concatenate([shallow, deep], axis=1)
    energy = np.einsum("oi,bihw->bohw", weight[:, :, 0, 0], both) + bias[:, None, None]
    attention = 1 / (1 + np.exp(-energy))
    return shallow * attention[:, 0][:, None] + deep * attention[:, 1][:, None]


def embedding_of(shapes: SignalShapes, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(10 + seed).normal(size=(3, shapes.embedding))


def student_of(shapes: SignalShapes, dtype: torch.dtype = torch.float64) -> Signals:
    embedding = torch.tensor(embedding_of(shapes), dtype=dtype)
    return replace(features_of(random_maps(shapes), dtype), embedding=embedding)


def teacher_of(shapes: SignalShapes, dtype: torch.dtype = torch.float64) -> Signals:
    embedding = torch.tensor(embedding_of(shapes, seed=1), dtype=dtype)
    return replace(preactivations_of(random_maps(shapes, seed=1), dtype), embedding=embedding)


def reference_review(method: ReviewKD, student: SignalShapes, teacher: SignalShapes) -> float:
    """From the embeddings, as maps of one pixel, to the shallowest matched stage."""
    count = min(len(student.maps), len(teacher.maps))
    f_s = [*random_maps(student)[-count:], embedding_of(student)[:, :, None, None]]
    f_t = [*random_maps(teacher, seed=1)[-count:], embedding_of(teacher, seed=1)[:, :, None, None]]
    total, deeper = 0.0, None
    for i in reversed(range(len(f_s))):
        fusion = method.fusions[i]
        own = conv_bn(fusion.entry, f_s[i])
        if deeper is not None:
            own = fused(fusion.gate, own, nearest(deeper, *own.shape[2:]))
        deeper = own
        answer = conv_bn(fusion.exit, own)
        size = np.minimum(answer.shape[2:], f_t[i].shape[2:])
        total += reference(pooled(answer, *size), pooled(f_t[i], *size))
    return total


def review_of(method: ReviewKD, student: Signals, teacher: Signals) -> torch.Tensor:
    return method(student, teacher, TARGETS, 1.0)["reviewkd"]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 1, 1),
        (3, 2, 2, 2),
        (2, 3, 4, 4),
        (3, 5, 8, 8),
        (2, 2, 7, 7),
        (2, 3, 6, 3),
        (2, 3, 1, 5),
    ],
)
def test_context_loss_is_the_papers(shape, dtype, tolerance):
    s, t = np.random.default_rng(0).normal(size=(2, *shape))
    found = context_loss(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype))
    assert found.item() == pytest.approx(reference(s, t), rel=tolerance)


@pytest.mark.parametrize(
    ("side", "weights"),
    [(1, [1]), (2, [1, 1 / 2]), (4, [1, 1 / 2, 1 / 4]), (8, [1, 1 / 2, 1 / 4, 1 / 8])],
)
def test_weights_halve_over_the_levels_that_are_smaller_than_the_map(side, weights):
    # A checkerboard difference is seen by the full map alone: every average of it is 0.
    signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(side // 2 or 1, side // 2 or 1)
    difference = signs[:side, :side].expand(1, 1, side, side).double()
    found = context_loss(difference, torch.zeros_like(difference)).item()
    assert found == pytest.approx(1 / sum(weights), rel=1e-12)
    # A constant difference is seen at every level.
    assert context_loss(torch.ones(1, 1, side, side), torch.zeros(1, 1, side, side)).item() == 1.0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (8, 5), (3, 9)])
def test_resizing_takes_the_nearest_position(size):
    values = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    found = resized(values, *size)
    assert np.array_equal(found.numpy(), nearest(values.numpy(), *size))
    assert torch.equal(found, F.interpolate(values, size, mode="nearest"))


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_stages_are_fused_from_the_deepest(count, dtype, tolerance, student_shapes, teacher_shapes):
    torch.manual_seed(0)
    student = shapes_of(*student_shapes.maps[-count:])
    method = ReviewKD(student, teacher_shapes).to(dtype)
    found = review_of(method, student_of(student, dtype), teacher_of(teacher_shapes, dtype)).item()
    assert found == pytest.approx(reference_review(method, student, teacher_shapes), rel=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (((3, 8, 8), (5, 4, 4)), ((2, 4, 4), (4, 8, 8))),
        (((3, 7, 5), (5, 3, 3)), ((2, 6, 4), (4, 1, 1))),
        (((3, 4, 4), (5, 4, 4)), ((2, 16, 16), (4, 4, 4))),
    ],
)
def test_maps_of_any_size_are_compared(student, teacher, dtype, tolerance):
    torch.manual_seed(0)
    student, teacher = shapes_of(*student), shapes_of(*teacher)
    method = ReviewKD(student, teacher).to(dtype)
    found = review_of(method, student_of(student, dtype), teacher_of(teacher, dtype)).item()
    assert found == pytest.approx(reference_review(method, student, teacher), rel=tolerance)


def test_a_longer_networks_shallow_stages_are_left_out(student_shapes, teacher_shapes):
    teacher = shapes_of((4, 2, 2))
    method = ReviewKD(student_shapes, teacher).double()
    assert len(method.fusions) == 2
    assert method.fusions[1].gate is None
    found = review_of(method, student_of(student_shapes), teacher_of(teacher)).item()
    assert found == pytest.approx(reference_review(method, student_shapes, teacher), rel=1e-9)


def test_the_teachers_maps_are_those_before_the_activation(student_shapes, teacher_shapes):
    assert ReviewKD.signals == {Signal.FEATURES, Signal.EMBEDDING}
    assert ReviewKD.teacher_signals == {Signal.PREACTIVATION, Signal.EMBEDDING}
    objective = Objective(method_config("reviewkd", {}), student_shapes, teacher_shapes)
    assert objective.signals == ReviewKD.signals
    assert objective.teacher_signals == ReviewKD.teacher_signals


def test_the_embedding_alone_is_a_stage(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = ReviewKD(student_shapes, teacher_shapes).double()
    student, teacher = student_of(student_shapes), teacher_of(teacher_shapes)
    moved = replace(teacher, embedding=teacher.embedding + 1)
    fusion = method.fusions[-1]
    answer = conv_bn(
        fusion.exit, conv_bn(fusion.entry, student.embedding.numpy()[:, :, None, None])
    )
    errors = [((answer[:, :, 0, 0] - t.embedding.numpy()) ** 2).mean() for t in (teacher, moved)]
    found = [review_of(method, student, t).item() for t in (teacher, moved)]
    assert found[1] - found[0] == pytest.approx(errors[1] - errors[0], rel=1e-9)


@pytest.mark.parametrize(("values", "middle"), [(6, 6), (WIDEST, 512), (WIDEST + 8, 512)])
def test_maps_are_fused_in_the_channels_of_the_students_embedding(values, middle):
    student = replace(shapes_of((3, 2, 2), (4, 1, 1)), embedding=values)
    method = ReviewKD(student, shapes_of((2, 2, 2), (2, 1, 1)))
    assert [fusion.entry[0].out_channels for fusion in method.fusions] == [middle] * 3


def test_the_published_weight_and_ramp(student_shapes, teacher_shapes):
    method = ReviewKD(student_shapes, teacher_shapes)
    assert method.factor(0.0) == 0.0
    assert method.factor(10 / 240) == pytest.approx(0.5)
    assert method.factor(20 / 240) == pytest.approx(1.0)
    assert ReviewKD(student_shapes, teacher_shapes, weight=5.0).factor(1.0) == 5.0


def test_gradient_reaches_student_and_helpers_and_never_the_teacher(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = ReviewKD(student_shapes, teacher_shapes)
    student = student_of(student_shapes, torch.float32)
    teacher = teacher_of(teacher_shapes, torch.float32)
    own, others = (
        (*student.features, student.embedding),
        (*teacher.preactivation, teacher.embedding),
    )
    for values in (*own, *others):
        values.requires_grad_()
    review_of(method, student, teacher).backward()
    assert all(values.grad.abs().sum() > 0 for values in own)
    assert all(values.grad is None for values in others)
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_the_shallow_stage_reviews_the_deeper_ones(student_shapes, teacher_shapes, gradient):
    torch.manual_seed(0)
    method = ReviewKD(student_shapes, teacher_shapes).double()
    student = student_of(student_shapes)
    f_s, e_s = student.features, student.embedding[:, :, None, None]

    def shallow(values):
        passed = None
        maps = (values, f_s[2], f_s[1], f_s[0])
        for fusion, own in zip(reversed(method.fusions), maps, strict=True):
            answer, passed = fusion(own, passed)
        return answer.square().sum()

    assert gradient(shallow, e_s).abs().sum() > 0


def test_identity_costs_nothing_and_has_a_finite_gradient(gradient):
    t = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    assert context_loss(t, t).item() == 0.0
    assert (gradient(lambda s: context_loss(s, t), t) == 0).all()


def test_the_loss_is_a_mean_over_samples():
    s, t = torch.randn(2, 6, 4, 5, 5, dtype=torch.float64)
    halves = [context_loss(s[half], t[half]) for half in (slice(0, 3), slice(3, 6))]
    assert context_loss(s, t).item() == pytest.approx(sum(halves).item() / 2, rel=1e-12)


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    s = torch.randn(2, 2, 5, 3, dtype=torch.float64, requires_grad=True)
    t = torch.randn(2, 2, 5, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: context_loss(values, t), s)


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_dead_and_extreme_maps_in_half_precision_are_finite(value, student_shapes, gradient):
    method = ReviewKD(student_shapes, student_shapes)
    maps = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    embedding = torch.full((3, student_shapes.embedding), value, dtype=torch.bfloat16)
    teacher = Signals(preactivation=tuple(-values for values in maps), embedding=-embedding)

    def loss(values):
        student = Signals(features=(*maps[:-1], values), embedding=embedding)
        return review_of(method, student, teacher)

    assert loss(maps[-1]).dtype == torch.float32
    assert torch.isfinite(loss(maps[-1]))
    assert torch.isfinite(gradient(loss, maps[-1])).all()


def test_training_brings_the_student_to_the_teacher():
    torch.manual_seed(0)
    shapes = shapes_of((4, 4, 4), (6, 2, 2))
    method = ReviewKD(shapes, shapes)
    teacher = replace(
        preactivations_of(random_maps(shapes, batch=6), torch.float32),
        embedding=torch.randn(6, shapes.embedding),
    )
    values = [torch.randn_like(f).requires_grad_() for f in teacher.preactivation]
    embedding = torch.randn(6, shapes.embedding, requires_grad=True)
    optimizer = torch.optim.Adam([*values, embedding, *method.parameters()], lr=0.05)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = review_of(method, Signals(features=tuple(values), embedding=embedding), teacher)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_helpers_are_registered_and_saved():
    shapes = shapes_of((3, 4, 4), (4, 2, 2))
    method = ReviewKD(shapes, shapes)
    names = {name for name, _ in method.named_parameters()}
    ends = ("entry.0.weight", "entry.1.weight", "entry.1.bias")
    ends += ("exit.0.weight", "exit.1.weight", "exit.1.bias")
    expected = {f"fusions.{i}.{end}" for i in (0, 1, 2) for end in ends}
    gates = {f"fusions.{i}.gate.{end}" for i in (0, 1) for end in ("weight", "bias")}
    assert names == expected | gates
    assert names <= set(method.state_dict())


def test_one_sample_is_refused_while_training():
    shapes = shapes_of((4, 2, 2))
    method = ReviewKD(shapes, shapes)
    maps = (torch.randn(1, 4, 2, 2),)
    one = Signals(features=maps, preactivation=maps, embedding=torch.randn(1, 5))
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        review_of(method, one, one)
    assert torch.isfinite(review_of(method.eval(), one, one))


def test_a_network_without_an_embedding_is_refused(student_shapes):
    with pytest.raises(MethodError, match="embeddings, and the teacher has none"):
        ReviewKD(student_shapes, replace(student_shapes, embedding=0))


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        ReviewKD(student_shapes, shapes_of())
