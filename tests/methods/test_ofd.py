import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.ofd import OFD, Margin, margin_relu, partial_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from tests.methods.maps import conv_bn, preactivations_of, random_maps, shapes_of

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
PRECISION = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def reference_margin(*batches: np.ndarray) -> list[float]:
    """The mean of each channel's negative values, over all batches."""
    margins = []
    for channel in range(batches[0].shape[1]):
        negative = [v for batch in batches for v in batch[:, channel].ravel() if v < 0]
        margins.append(sum(negative) / len(negative) if negative else 0.0)
    return margins


def reference(student: np.ndarray, teacher: np.ndarray, margin: list[float]) -> float:
    """Neuron by neuron."""
    total = 0.0
    for b, c, i, j in np.ndindex(*student.shape):
        s, t = student[b, c, i, j], max(teacher[b, c, i, j], margin[c])
        if not s <= t <= 0:
            total += (s - t) ** 2
    return total / len(student)


def ofd_of(method: OFD, student: Signals, teacher: Signals) -> torch.Tensor:
    return method(student, teacher, TARGETS, 0.0)["ofd"]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 5, 4, 2), (4, 2, 3, 3)])
def test_is_the_papers_formula(shape, dtype, tolerance):
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(2, *shape))
    margin = -rng.uniform(size=shape[1])
    target = margin_relu(torch.tensor(t, dtype=dtype), torch.tensor(margin, dtype=dtype))
    found = partial_loss(torch.tensor(s, dtype=dtype), target)
    assert found.item() == pytest.approx(reference(s, t, margin), rel=tolerance)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (-3.0, -0.5, 0.0),  # both off, the student lower
        (-0.2, -0.3, 0.01),  # both off, the student higher
        (-2.0, -9.0, 0.0),  # beyond the margin of −1 the teacher counts as −1
        (0.5, -9.0, 2.25),
        (-1.0, -9.0, 0.0),
        (-2.0, 0.0, 0.0),  # a teacher's neuron at 0 is off
        (-2.0, 0.5, 6.25),  # the student has to be on
        (3.0, 1.0, 4.0),  # and no more than the teacher
    ],
)
def test_around_zero_and_the_margin(student, teacher, expected):
    target = margin_relu(torch.full((1, 1, 1, 1), teacher), torch.tensor([-1.0]))
    found = partial_loss(torch.full((1, 1, 1, 1), student), target)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_student_below_a_teacher_that_is_off_costs_nothing(gradient):
    t = torch.tensor([-0.1, 0.0, -3.0]).reshape(1, 3, 1, 1)
    s = torch.tensor([-0.1, -5.0, -3.5]).reshape(1, 3, 1, 1)
    assert partial_loss(s, t).item() == 0.0
    assert (gradient(lambda values: partial_loss(values, t), s) == 0).all()


def test_the_loss_is_a_sum_over_values_and_a_mean_over_samples():
    s, t = torch.randn(2, 6, 4, 2, 2, dtype=torch.float64)
    halves = [partial_loss(s[half], t[half]) for half in (slice(0, 3), slice(3, 6))]
    assert partial_loss(s, t).item() == pytest.approx(sum(halves).item() / 2, rel=1e-12)
    wide_s, wide_t = s.repeat(1, 3, 1, 1), t.repeat(1, 3, 1, 1)
    assert partial_loss(wide_s, wide_t).item() == pytest.approx(3 * partial_loss(s, t).item())


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_the_margin_is_the_mean_of_all_negative_values_seen(dtype, tolerance):
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(size, 3, 4, 2)) + shift for size, shift in ((2, 0), (5, 1), (3, 0))]
    for batch in batches:
        batch[:, 1] = np.abs(batch[:, 1])
    margin = Margin(3).to(dtype)
    for seen in range(1, 4):
        found = margin(torch.tensor(batches[seen - 1], dtype=dtype))
        expected = reference_margin(*batches[:seen])
        assert found.tolist() == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert margin.mean[1] == 0
    assert margin.count.tolist() == [sum((b[:, c] < 0).sum() for b in batches) for c in range(3)]


def test_regression_the_margin_learns_in_training_mode_alone():
    margin = Margin(2)
    first = margin(-torch.ones(2, 2, 3, 3)).clone()
    margin.eval()
    assert torch.equal(margin(-9 * torch.ones(2, 2, 3, 3)), first)
    assert margin.count.tolist() == [18, 18]
    margin.train()
    assert (margin(-9 * torch.ones(2, 2, 3, 3)) == -5).all()


def test_counts_beyond_float32_are_kept():
    margin = Margin(1)
    margin.count.fill_(2**24)
    margin(-torch.ones(1, 1, 1, 1))
    assert margin.double().count.item() == 2**24 + 1


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_deeper_stages_weigh_twice_as_much(count, dtype, tolerance, student_shapes, teacher_shapes):
    torch.manual_seed(0)
    student = shapes_of(*student_shapes.maps[-count:])
    f_s, f_t = random_maps(student), random_maps(teacher_shapes, seed=1)[-count:]
    method = OFD(student, teacher_shapes).to(dtype)
    found = ofd_of(method, preactivations_of(f_s, dtype), preactivations_of(f_t, dtype)).item()
    expected = sum(
        reference(conv_bn(method.regressors[i], f_s[i]), f_t[i], reference_margin(f_t[i]))
        / 2 ** (count - i - 1)
        for i in range(count)
    )
    assert found == pytest.approx(expected, rel=tolerance)


def test_margins_of_earlier_batches_count():
    shapes = shapes_of((2, 2, 2))
    method = OFD(shapes, shapes).double()
    (f_s,), (first,), (second,) = (random_maps(shapes, seed=seed) for seed in range(3))
    ofd_of(method, preactivations_of([f_s]), preactivations_of([first]))
    found = ofd_of(method, preactivations_of([f_s]), preactivations_of([second])).item()
    student = conv_bn(method.regressors[0], f_s)
    expected = reference(student, second, reference_margin(first, second))
    assert found == pytest.approx(expected, rel=1e-9)
    assert found != pytest.approx(reference(student, second, reference_margin(second)), rel=1e-3)


@pytest.mark.parametrize("larger", ["student", "teacher"])
def test_a_larger_map_is_averaged_before_the_margin(larger):
    sizes = {"student": (4, 2), "teacher": (2, 4)}[larger]
    student, teacher = shapes_of((2, sizes[0], sizes[0])), shapes_of((3, sizes[1], sizes[1]))
    (f_s,), (f_t,) = random_maps(student), random_maps(teacher, seed=1)
    method = OFD(student, teacher).double()
    found = ofd_of(method, preactivations_of([f_s]), preactivations_of([f_t])).item()
    if larger == "student":
        f_s = f_s.reshape(3, 2, 2, 2, 2, 2).mean(axis=(3, 5))
    else:
        f_t = f_t.reshape(3, 3, 2, 2, 2, 2).mean(axis=(3, 5))
    expected = reference(conv_bn(method.regressors[0], f_s), f_t, reference_margin(f_t))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_longer_networks_shallow_stages_are_left_out(student_shapes, teacher_shapes):
    for student, teacher in ((student_shapes, shapes_of((8, 2, 2))), (shapes_of((6, 2, 2)),) * 2):
        method = OFD(student, teacher)
        assert len(method.regressors) == len(method.margins) == 1
        f_s, f_t = random_maps(student), random_maps(teacher, seed=1)
        assert torch.isfinite(
            ofd_of(method, *(preactivations_of(f, torch.float32) for f in (f_s, f_t)))
        )


def test_published_facts():
    assert OFD.signals == {Signal.PREACTIVATION}
    weight = OFD.hyperparameters["weight"]
    assert weight.default == 1e-3
    assert (weight.search.low, weight.search.high, weight.search.log) == (1e-5, 1e-2, True)


def test_margins_and_regressors_are_registered_and_saved(student_shapes, teacher_shapes):
    method = OFD(student_shapes, teacher_shapes)
    f_s, f_t = random_maps(student_shapes), random_maps(teacher_shapes, seed=1)
    pair = preactivations_of(f_s, torch.float32), preactivations_of(f_t, torch.float32)
    ofd_of(method, *pair)
    restored = OFD(student_shapes, teacher_shapes)
    restored.load_state_dict(method.state_dict())
    assert {"margins.0.mean", "margins.0.count"} <= set(method.state_dict())
    assert not any("margins" in name for name, _ in method.named_parameters())
    assert ofd_of(restored, *pair).item() == ofd_of(method, *pair).item()


def test_gradient_reaches_student_and_helpers_and_never_the_teacher(student_shapes, teacher_shapes):
    torch.manual_seed(0)
    method = OFD(student_shapes, teacher_shapes)
    student = preactivations_of(random_maps(student_shapes), torch.float32)
    teacher = preactivations_of(random_maps(teacher_shapes, seed=1), torch.float32)
    for values in (*student.preactivation, *teacher.preactivation):
        values.requires_grad_()
    ofd_of(method, student, teacher).backward()
    assert all(values.grad.abs().sum() > 0 for values in student.preactivation)
    assert all(values.grad is None for values in teacher.preactivation)
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())
    assert not any(buffer.requires_grad for buffer in method.buffers())


def test_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    s = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    t = margin_relu(torch.randn(2, 3, 2, 2, dtype=torch.float64), torch.full((3,), -0.4).double())
    assert torch.autograd.gradcheck(lambda values: partial_loss(values, t), s)


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_dead_and_extreme_maps_in_half_precision_are_finite(value, student_shapes, gradient):
    method = OFD(student_shapes, student_shapes)
    maps = [torch.full((3, *s), value, dtype=torch.bfloat16) for s in student_shapes.maps]
    teacher = Signals(preactivation=tuple(-values for values in maps))

    def loss(values):
        return ofd_of(method, Signals(preactivation=(values, *maps[1:])), teacher)

    assert loss(maps[0]).dtype == torch.float32
    assert torch.isfinite(loss(maps[0]))
    assert torch.isfinite(gradient(loss, maps[0])).all()


def test_training_brings_the_student_to_the_target():
    torch.manual_seed(0)
    shapes = shapes_of((4, 2, 2))
    method = OFD(shapes, shapes)
    teacher = Signals(preactivation=(torch.randn(6, 4, 2, 2),))
    values = torch.randn(6, 4, 2, 2, requires_grad=True)
    optimizer = torch.optim.Adam([values, *method.parameters()], lr=0.05)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = ofd_of(method, Signals(preactivation=(values,)), teacher)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_one_sample_of_one_position_is_refused_while_training():
    shapes = shapes_of((4, 1, 1))
    method = OFD(shapes, shapes)
    one = Signals(preactivation=(torch.randn(1, 4, 1, 1),))
    with pytest.raises(MethodError, match=r"raise training\.batch_size"):
        ofd_of(method, one, one)
    assert torch.isfinite(ofd_of(method.eval(), one, one))


def test_a_network_without_maps_is_refused(student_shapes):
    with pytest.raises(MethodError, match="stage maps, and the teacher has none"):
        OFD(student_shapes, shapes_of())
