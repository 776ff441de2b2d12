from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.errors import MethodError
from kdsearch.methods import METHODS, Objective, Targets, method_config
from kdsearch.methods.base import WITHOUT_LOSS
from kdsearch.methods.dkd import nckd_loss, tckd_loss
from kdsearch.methods.kd import kd_loss
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.models.signals import Signal, Signals
from kdsearch.problems import Head
from kdsearch.spec.concrete import MethodConfig, TermConfig

# the others need a real student, or a memory of the data set
LOSSES = [
    name
    for name, method in METHODS.items()
    if not (method.by_sample or method.adopts_classifier or method.kind in WITHOUT_LOSS)
]
LABELS = torch.tensor([0, 1, 2, 3, 4, 5])
DOMAIN = LABELS % 2 == 1


def of(labels, *blended, **weights):
    """The targets of the one task."""
    return {"label": Targets(labels, *blended, **weights)}


def loss_of(**settings):
    """The loss of one class of seven."""
    return [TaskLoss(Head(names=tuple("abcdefg")), **settings)]


@pytest.fixture
def pair(student_shapes, teacher_shapes, random_signals):
    return random_signals(student_shapes), random_signals(teacher_shapes, seed=1)


def test_kd_is_weighted_beside_the_cross_entropy(student_shapes, teacher_shapes, pair):
    config = method_config("kd", {"weight": 0.7, "ce_weight": 0.3, "temperature": 2.0})
    found = Objective(config, student_shapes, teacher_shapes)(*pair, of(LABELS), 0.0)
    assert list(found) == ["ce", "kd", "loss"]
    z_s, z_t = pair[0].logits, pair[1].logits
    ce = -z_s.log_softmax(dim=1)[torch.arange(6), LABELS].mean()
    assert found["ce"].item() == pytest.approx(0.3 * ce.item(), rel=1e-12)
    assert found["kd"].item() == pytest.approx(0.7 * kd_loss(z_s, z_t, 2.0).item(), rel=1e-12)
    assert found["loss"].item() == pytest.approx((found["ce"] + found["kd"]).item(), rel=1e-12)


def test_parts_of_a_method_are_named_after_it_and_weighted(student_shapes, teacher_shapes, pair):
    config = method_config("dkd+rkd", {"dkd.weight": 3.0})
    found = Objective(config, student_shapes, teacher_shapes)(*pair, of(LABELS), 1.0)
    assert list(found) == ["ce", "dkd.tckd", "dkd.nckd", "rkd.distance", "rkd.angle", "loss"]
    z = pair[0].logits, pair[1].logits
    tckd, nckd = (loss(*z, LABELS, 4.0).mean().item() for loss in (tckd_loss, nckd_loss))
    assert found["dkd.tckd"].item() == pytest.approx(3.0 * tckd)
    assert found["dkd.nckd"].item() == pytest.approx(3.0 * 8.0 * nckd)


@pytest.mark.parametrize("label", [*LOSSES, "kd+at", "dist+fitnet+rkd"])
def test_loss_is_the_sum_of_the_parts(label, student_shapes, teacher_shapes, pair):
    objective = Objective(method_config(label, {}), student_shapes, teacher_shapes).double()
    found = objective(*pair, of(LABELS, domain=DOMAIN), 0.5)
    parts = [value.item() for name, value in found.items() if name != "loss"]
    assert found["loss"].item() == pytest.approx(sum(parts), rel=1e-12)
    assert all(value.shape == () for value in found.values())


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("none", set()),
        ("kd", {Signal.LOGITS}),
        ("at", {Signal.ATTENTION}),
        ("kd+at", {Signal.LOGITS, Signal.ATTENTION}),
        ("dkd+fitnet+rkd", {Signal.LOGITS, Signal.FEATURES, Signal.EMBEDDING}),
    ],
)
def test_signals_are_the_union_of_what_the_terms_declare(
    label, expected, student_shapes, teacher_shapes
):
    assert Objective(method_config(label, {}), student_shapes, teacher_shapes).signals == expected


def test_undistilled_baseline_needs_no_teacher(student_shapes, pair):
    objective = Objective(method_config("none", {}), student_shapes, None)
    found = objective(pair[0], None, of(LABELS), 0.0)
    assert list(found) == ["ce", "loss"]
    expected = F.cross_entropy(pair[0].logits, LABELS).item()
    assert found["loss"].item() == pytest.approx(expected, rel=1e-12)
    assert list(objective.parameters()) == []


def test_cross_entropy_of_weight_zero_is_not_computed(student_shapes, teacher_shapes, pair):
    config = method_config("kd", {"ce_weight": 0.0})
    # A label outside the classes would break the cross-entropy, were it computed.
    found = Objective(config, student_shapes, teacher_shapes)(*pair, of(torch.full((6,), 99)), 0.0)
    assert list(found) == ["kd", "loss"]


def test_label_smoothing_touches_the_cross_entropy_alone(student_shapes, teacher_shapes, pair):
    config = method_config("dkd", {})
    plain = Objective(config, student_shapes, teacher_shapes)(*pair, of(LABELS), 1.0)
    smooth = Objective(config, student_shapes, teacher_shapes, loss_of(label_smoothing=0.2))(
        *pair, of(LABELS), 1.0
    )
    log_p = pair[0].logits.log_softmax(dim=1)
    truth = 0.8 * F.one_hot(LABELS, 7) + 0.2 / 7
    assert smooth["ce"].item() == pytest.approx(-(truth * log_p).sum(dim=1).mean().item())
    assert smooth["ce"].item() != pytest.approx(plain["ce"].item())
    assert smooth["dkd.tckd"].item() == plain["dkd.tckd"].item()


def test_mixup_blends_the_cross_entropy(student_shapes, pair):
    partner, share = LABELS.flip(0), torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]).double()
    objective = Objective(method_config("none", {}), student_shapes, None)
    found = objective(pair[0], None, of(LABELS, partner, share), 0.0)
    truth = share[:, None] * F.one_hot(LABELS, 7) + (1 - share[:, None]) * F.one_hot(partner, 7)
    expected = -(truth * pair[0].logits.log_softmax(dim=1)).sum(dim=1).mean()
    assert found["ce"].item() == pytest.approx(expected.item(), rel=1e-12)


CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.0, 2.0, 0.7, 1.5]).double()
WEIGHTS = torch.tensor([1.0, 0.0, 2.5, 0.5, 4.0, 1.0]).double()
OTHERS = torch.tensor([0.3, 2.0, 1.0, 0.0, 1.0, 5.0]).double()


def test_weights_of_classes_and_samples_are_those_of_the_formula(student_shapes, pair):
    partner, share = LABELS.flip(0), torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]).double()
    objective = Objective(
        method_config("none", {}),
        student_shapes,
        None,
        loss_of(label_smoothing=0.2, class_weights=CLASS_WEIGHTS, mean_weight=1.7),
    )
    targets = of(LABELS, partner, share, None, WEIGHTS, OTHERS)
    found = objective(pair[0], None, targets, 0.0)["ce"].item()
    log_p = pair[0].logits.detach().log_softmax(dim=1).numpy()
    expected = 0.0
    for row in range(6):
        for label, weight in (
            (LABELS[row], share[row] * WEIGHTS[row]),
            (partner[row], (1 - share[row]) * OTHERS[row]),
        ):
            truth = 0.8 * np.eye(7)[label] + 0.2 / 7
            expected -= float(weight) * (CLASS_WEIGHTS.numpy() * truth * log_p[row]).sum()
    assert found == pytest.approx(expected / 6 / 1.7, rel=1e-9)


def test_weights_leave_the_distillation_terms_alone(student_shapes, teacher_shapes, pair):
    config = method_config("dkd+rkd", {})
    plain = Objective(config, student_shapes, teacher_shapes)(*pair, of(LABELS), 1.0)
    weighted = Objective(
        config,
        student_shapes,
        teacher_shapes,
        loss_of(class_weights=CLASS_WEIGHTS, mean_weight=3.0),
    )(*pair, of(LABELS, weights=WEIGHTS), 1.0)
    assert weighted["ce"].item() != pytest.approx(plain["ce"].item())
    for name in plain.keys() - {"ce", "loss"}:
        assert weighted[name].item() == plain[name].item()


def test_the_weighted_losses_of_two_workers_average_to_that_of_one(student_shapes, pair):
    objective = Objective(
        method_config("none", {}),
        student_shapes,
        None,
        loss_of(label_smoothing=0.1, class_weights=CLASS_WEIGHTS, mean_weight=1.3),
    )

    def loss(index):
        targets = of(LABELS[index], weights=WEIGHTS[index])
        return objective(Signals(logits=pair[0].logits[index]), None, targets, 0.0)["loss"].item()

    shares = [loss(torch.arange(start, 6, 2)) for start in (0, 1)]
    assert sum(shares) / 2 == pytest.approx(loss(torch.arange(6)), rel=1e-12)


def test_class_weights_are_no_part_of_a_checkpoint(student_shapes):
    weighted = Objective(
        method_config("none", {}), student_shapes, None, loss_of(class_weights=CLASS_WEIGHTS)
    )
    assert weighted.state_dict() == {}


def test_regression_projector_is_trained_and_saved(student_shapes, teacher_shapes, random_signals):
    objective = Objective(method_config("kd+fitnet", {}), student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    layers = ("0.weight", "1.weight", "1.bias")
    names = {f"terms.fitnet.projector.{layer}" for layer in layers}
    assert {name for name, _ in objective.named_parameters()} == names
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    assert names <= set(before)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1e-3)
    first = objective(student, teacher, of(LABELS), 0.0)
    first["loss"].backward()
    optimizer.step()
    second = objective(student, teacher, of(LABELS), 0.0)
    assert second["fitnet"] < first["fitnet"]
    fresh = Objective(method_config("kd+fitnet", {}), student_shapes, teacher_shapes)
    fresh.load_state_dict(objective.state_dict())
    again = fresh(student, teacher, of(LABELS), 0.0)
    assert again["fitnet"].item() == second["fitnet"].item()


@pytest.mark.parametrize("label", ["none", *LOSSES])
def test_autocast_does_not_lower_the_precision(
    label, student_shapes, teacher_shapes, random_signals
):
    objective = Objective(method_config(label, {}), student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    # each call moves what a term estimates as it goes, such as spectral norms
    plain = deepcopy(objective)(student, teacher, of(LABELS, domain=DOMAIN), 0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = objective(student, teacher, of(LABELS, domain=DOMAIN), 0.5)
    assert {name: v.item() for name, v in lowered.items()} == {
        name: v.item() for name, v in plain.items()
    }


def test_cross_entropy_of_half_precision_logits_is_in_float32(student_shapes, random_signals):
    student = random_signals(student_shapes, dtype=torch.bfloat16)
    objective = Objective(method_config("none", {}), student_shapes, None)
    found = objective(student, None, of(LABELS), 0.0)["loss"]
    assert found.dtype == torch.float32
    exact = F.cross_entropy(student.logits.double(), LABELS).item()
    assert found.item() == pytest.approx(exact, rel=1e-6)


def test_terms_without_a_teacher_are_refused(student_shapes):
    with pytest.raises(MethodError, match="'kd' needs a teacher"):
        Objective(method_config("kd", {}), student_shapes, None)


def test_missing_teacher_signals_are_named(student_shapes, teacher_shapes, pair):
    objective = Objective(method_config("kd", {}), student_shapes, teacher_shapes)
    with pytest.raises(AssertionError, match="kd needs the teacher's signals"):
        objective(pair[0], None, of(LABELS), 0.0)
    with pytest.raises(AssertionError, match="student's logits"):
        objective(Signals(), pair[1], of(LABELS), 0.0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MethodConfig(label="none", ce_weight=0.0), "leaves nothing to minimise"),
        (MethodConfig(label="kdd", terms=(TermConfig(name="kdd"),)), "did you mean 'kd'"),
        (MethodConfig(label="kd"), "does not name the terms"),
        (MethodConfig(label="none", terms=(TermConfig(name="kd"),)), "does not name the terms"),
        (
            MethodConfig(
                label="kd", terms=(TermConfig(name="kd", hyperparameters={"temperature": 0.0}),)
            ),
            "kd: 'temperature' must be at least 0.05",
        ),
        (
            MethodConfig(label="kd", terms=(TermConfig(name="kd", hyperparameters={"tau": 1.0}),)),
            "kd has no hyperparameter 'tau'",
        ),
    ],
)
def test_impossible_configurations_are_refused(config, message, student_shapes, teacher_shapes):
    with pytest.raises(MethodError, match=message):
        Objective(config, student_shapes, teacher_shapes)


def test_values_left_out_of_a_configuration_take_the_published_defaults(
    student_shapes, teacher_shapes, pair
):
    bare = MethodConfig(label="kd", ce_weight=0.1, terms=(TermConfig(name="kd"),))
    full = method_config("kd", {})
    found = [
        Objective(config, student_shapes, teacher_shapes)(*pair, of(LABELS), 0.0)["loss"]
        for config in (bare, full)
    ]
    assert found[0].item() == found[1].item()


def test_the_schedule_of_a_term_leaves_the_others_alone(student_shapes, teacher_shapes, pair):
    values = {"rkd.start": 0.5, "rkd.ramp": 0.2, "kd.decay": 1.0}
    scheduled = Objective(method_config("kd+rkd", values), student_shapes, teacher_shapes)
    plain = Objective(method_config("kd+rkd", {}), student_shapes, teacher_shapes)
    full = {name: value.item() for name, value in plain(*pair, of(LABELS), 0.0).items()}
    for progress, kd, rkd in ((0.0, 1.0, 0.0), (0.25, 0.75, 0.0), (0.6, 0.4, 0.5), (1.0, 0.0, 1.0)):
        found = scheduled(*pair, of(LABELS), progress)
        assert found["ce"].item() == pytest.approx(full["ce"])
        assert found["kd"].item() == pytest.approx(kd * full["kd"])
        assert found["rkd.angle"].item() == pytest.approx(rkd * full["rkd.angle"])


def test_a_term_that_initialises_the_student_is_trained_alone(student_shapes, teacher_shapes, pair):
    objective = Objective(method_config("kd+ab", {}), student_shapes, teacher_shapes).double()
    before = objective(*pair, of(LABELS), 0.0)
    assert (before["ce"].item(), before["kd"].item()) == (0.0, 0.0)
    assert before["ab"].item() > 0
    after = objective(*pair, of(LABELS), 0.5)
    assert after["ab"].item() == 0.0
    assert min(after["ce"].item(), after["kd"].item()) > 0
