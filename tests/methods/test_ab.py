import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.ab import ActivationBoundaries, boundary_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from tests.methods.maps import conv_bn, preactivations_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def reference(student: np.ndarray, teacher: np.ndarray, margin: float = 1.0) -> float:
    """Neuron by neuron."""
    total = 0.0
    for s, t in zip(student.ravel(), teacher.ravel(), strict=True):
        if t <= 0 and s > -margin:
            total += (s + margin) ** 2
        if t > 0 and s <= margin:
            total += (s - margin) ** 2
    return total / len(student)


def reference_stages(method, f_s: list[np.ndarray], f_t: list[np.ndarray]) -> float:
    count = len(f_s)
    total = 0.0
    for i in range(count):
        loss = reference(conv_bn(method.connectors[i], f_s[i]), f_t[i])
        total += 2.0 ** (i - count + 1) * loss * 3 / 1000
    return total


def ab_of(method, student: Signals, teacher: Signals, progress: float = 0.0) -> torch.Tensor:
    return method(student, teacher, TARGETS, progress)["ab"]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("shape", [(1, 3), (3, 5, 4, 2), (4, 2, 3, 3)])
def test_is_the_papers_formula(shape, margin, dtype, tolerance):
    rng = np.random.default_rng(0)
    s, t = 1.5 * rng.normal(size=(2, *shape))
    found = boundary_loss(torch.tensor(s, dtype=dtype), torch.tensor(t, dtype=dtype), margin)
    assert found.item() == pytest.approx(reference(s, t, margin), rel=tolerance)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (0.0, 0.0, 1.0),  # a teacher's neuron at 0 is off
        (0.0, 1e-3, 1.0),
        (-1.0, -2.0, 0.0),
        (1.0, 2.0, 0.0),
        (-3.0, 1e-6, 16.0),
        (0.5, -100.0, 2.25),  # how far the teacher is beyond the boundary does not matter
        (0.5, 100.0, 0.25),
    ],
)
def test_at_the_boundary_and_at_the_margins(student, teacher, expected):
    found = boundary_loss(torch.tensor([[student]]), torch.tensor([[teacher]]))
    assert found.item() == pytest.approx(expected)


def test_the_same_side_beyond_the_margin_costs_nothing(gradient):
    t = torch.tensor([[-0.1, 0.1, 3.0, -3.0]])
    s = torch.tensor([[-1.5, 1.0, 7.0, -1.0]])
    assert boundary_loss(s, t).item() == 0.0
    assert (gradient(lambda values: boundary_loss(values, t), s) == 0).all()


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_deeper_stages_weigh_twice_as_much(count, dtype, tolerance, student_shapes, teacher_shapes):
    torch.manual_seed(0)
    student = shapes_of(*student_shapes.maps[-count:])
    f_s, f_t = random_maps(student), random_maps(teacher_shapes, seed=1)
    method = ActivationBoundaries(student, teacher_shapes).to(dtype)
    found = ab_of(method, preactivations_of(f_s, dtype), preactivations_of(f_t, dtype)).item()
    assert found == pytest.approx(reference_stages(method, f_s, f_t[-count:]), rel=tolerance)


def test_a_larger_map_is_averaged_before_the_comparison():
    student, teacher = shapes_of((2, 4, 4)), shapes_of((3, 2, 2))
    (f_s,), (f_t,) = random_maps(student), random_maps(teacher, seed=1)
    method = ActivationBoundaries(student, teacher).double()
    blocks = f_s.reshape(3, 2, 2, 2, 2, 2).mean(axis=(3, 5))
    found = ab_of(method, preactivations_of([f_s]), preactivations_of([f_t])).item()
    assert found == pytest.approx(reference_stages(method, [blocks], [f_t]), rel=1e-9)


def test_reads_the_values_before_the_activation():
    assert ActivationBoundaries.signals == {Signal.PREACTIVATION}


def test_the_loss_is_a_mean_over_samples():
    s, t = torch.randn(2, 6, 4, 2, 2, dtype=torch.float64)
    halves = [boundary_loss(s[half], t[half]) for half in (slice(0, 3), slice(3, 6))]
    assert boundary_loss(s, t).item() == pytest.approx(sum(halves).item() / 2, rel=1e-12)


def test_initialises_for_30_of_240_epochs(student_shapes, teacher_shapes):
    method = ActivationBoundaries(student_shapes, teacher_shapes)
    assert method.initialises(0.0)
    assert method.initialises(29.999 / 240)
    assert not method.initialises(30 / 240)
    assert not method.initialises(1.0)
    assert method.factor(0.0) == method.factor(29 / 240) == 1.0
    assert method.factor(30 / 240) == method.factor(1.0) == 0.0


def test_the_share_and_the_schedule_are_used(student_shapes, teacher_shapes):
    method = ActivationBoundaries(
        student_shapes, teacher_shapes, initialisation=0.5, weight=2.0, start=0.1, ramp=0.2
    )
    # Before its start the term is left out, and must not hold the others back.
    assert not method.initialises(0.05)
    assert method.initialises(0.1)
    assert method.factor(0.05) == 0.0
    assert method.factor(0.2) == pytest.approx(1.0)
    assert method.factor(0.4) == pytest.approx(2.0)
    assert method.factor(0.5) == 0.0


def test_the_whole_training_can_be_initialisation(student_shapes, teacher_shapes):
    method = ActivationBoundaries(student_shapes, teacher_shapes, initialisation=1.0)
    assert method.initialises(0.999)


@pytest.mark.parametrize("values", [{"initialisation": 0.0}, {"start": 0.2}])
def test_a_term_that_would_never_count_is_refused(values, student_shapes, teacher_shapes):
    with pytest.raises(MethodError, match="set initialisation above start"):
        ActivationBoundaries(student_shapes, teacher_shapes, **values)


@pytest.mark.parametrize("progress", [0.125, 1.0])
def test_afterwards_it_costs_nothing_and_leaves_the_helpers(
    progress, student_shapes, teacher_shapes
):
    method = ActivationBoundaries(student_shapes, teacher_shapes)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    student = preactivations_of(random_maps(student_shapes), torch.bfloat16)
    last = student.preactivation[-1].fill_(float("inf")).requires_grad_()
    teacher = preactivations_of(random_maps(teacher_shapes, seed=1), torch.bfloat16)
    found = ab_of(method, student, teacher, progress)
    assert found.dtype == torch.float32
    assert found.item() == 0.0
    found.backward()
    assert (last.grad == 0).all()
    assert all(parameter.grad is None for parameter in method.parameters())
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_connectors_are_registered_and_saved():
    shapes = shapes_of((4, 4, 4))
    assert set(ActivationBoundaries(shapes, shapes).state_dict()) == {
        "connectors.0.0.weight",
        "connectors.0.1.weight",
        "connectors.0.1.bias",
        "connectors.0.1.running_mean",
        "connectors.0.1.running_var",
        "connectors.0.1.num_batches_tracked",
    }


def test_gradient_reaches_student_and_helpers_and_never_the_teacher(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = ActivationBoundaries(student_shapes, teacher_shapes)
    student = preactivations_of(random_maps(student_shapes), torch.float32)
    teacher = preactivations_of(random_maps(teacher_shapes, seed=1), torch.float32)
    for values in (*student.preactivation, *teacher.preactivation):
        values.requires_grad_()
    ab_of(method, student, teacher).backward()
    assert all(values.grad.abs().sum() > 0 for values in student.preactivation)
    assert all(values.grad is None for values in teacher.preactivation)
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    s = (1.5 * torch.randn(2, 3, 2, 2, dtype=torch.float64)).requires_grad_()
    t = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: boundary_loss(values, t), s)


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_dead_and_extreme_maps_in_half_precision_are_finite(value, student_shapes, gradient):
    method = ActivationBoundaries(student_shapes, student_shapes)
    maps = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    teacher = Signals(preactivation=tuple(-values for values in maps))

    def loss(values):
        return ab_of(method, Signals(preactivation=(values, *maps[1:])), teacher)

    assert loss(maps[0]).dtype == torch.float32
    assert torch.isfinite(loss(maps[0]))
    assert torch.isfinite(gradient(loss, maps[0])).all()


def test_training_towards_the_boundaries_finds_them():
    torch.manual_seed(0)
    shapes = shapes_of((4, 1, 1))
    method = ActivationBoundaries(shapes, shapes)
    teacher = Signals(preactivation=(torch.randn(6, 4, 1, 1),))
    values = torch.randn(6, 4, 1, 1, requires_grad=True)
    optimizer = torch.optim.Adam([values, *method.parameters()], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        ab_of(method, Signals(preactivation=(values,)), teacher).backward()
        optimizer.step()
    agreed = (method.connectors[0](values) > 0) == (teacher.preactivation[0] > 0)
    assert agreed.all()


def test_one_sample_of_one_position_is_refused_while_training():
    shapes = shapes_of((4, 1, 1))
    method = ActivationBoundaries(shapes, shapes)
    one = Signals(preactivation=(torch.randn(1, 4, 1, 1),))
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        ab_of(method, one, one)
    assert torch.isfinite(ab_of(method.eval(), one, one))


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        ActivationBoundaries(student_shapes, shapes_of())
