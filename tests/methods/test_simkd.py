from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Scale, Split
from kdsearch.errors import MethodError
from kdsearch.methods import Objective, method_config
from kdsearch.methods.simkd import SimKD, simkd_loss
from kdsearch.methods.targets import Targets
from kdsearch.models import Signal, Signals, SignalShapes, blueprint, build_network, of_images
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.methods.maps import map_stages

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
SHAPE = (1, 8, 8)
STUDENT = ModelConfig(family="convnet", width=0.25, depth=2)
TEACHER = ModelConfig(family="convnet", width=0.5, depth=3)
REFERENCE = "kdsearch.methods.simkd:SimKD"


def shapes_of(
    embedding: int, *features: tuple[int, int, int], pooled: bool = True, linear_head: bool = True
) -> SignalShapes:
    return SignalShapes(7, embedding, map_stages(*features), pooled, linear_head)


def adopted(student: ModelConfig = STUDENT, teacher: ModelConfig = TEACHER) -> ModelConfig:
    return student.model_copy(update={"adopts": teacher})


def tensors(dtype: torch.dtype, *values: np.ndarray) -> list[torch.Tensor]:
    return [torch.tensor(value, dtype=dtype) for value in values]


precision = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)]
)


@precision
@pytest.mark.parametrize("size", [(3, 5, 4, 4), (2, 1, 1, 1), (4, 3, 2, 6)])
def test_is_the_mean_squared_difference_of_the_last_maps(size, dtype, tolerance):
    rng = np.random.default_rng(0)
    f_s, f_t = rng.normal(size=size), rng.normal(size=size)
    expected = 0.0
    for place in np.ndindex(*size):
        expected += (f_s[place] - f_t[place]) ** 2 / np.prod(size)
    shapes = shapes_of(size[1], (3, 9, 9), size[1:])
    student, teacher = tensors(dtype, f_s, f_t)
    earlier = torch.randn(size[0], 3, 9, 9)
    found = SimKD(shapes, shapes)(
        Signals(features=(earlier, student)), Signals(features=(earlier + 1, teacher)), TARGETS, 0.0
    )
    assert found.keys() == {"simkd"}
    assert found["simkd"].item() == pytest.approx(expected, rel=tolerance)


@precision
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (6, 8)])
def test_is_that_of_the_embeddings_where_a_network_does_not_pool(size, dtype, tolerance):
    rng = np.random.default_rng(1)
    e_s, e_t = rng.normal(size=size), rng.normal(size=size)
    expected = sum((e_s[i, j] - e_t[i, j]) ** 2 for i, j in np.ndindex(*size)) / e_s.size
    method = SimKD(shapes_of(size[1], pooled=False), shapes_of(size[1], (size[1], 2, 2)))
    student, teacher = tensors(dtype, e_s, e_t)
    found = method(Signals(embedding=student), Signals(embedding=teacher), TARGETS, 0.5)
    assert found["simkd"].item() == pytest.approx(expected, rel=tolerance)


def test_maps_are_averaged_to_the_smaller_sides():
    method = SimKD(shapes_of(2, (2, 4, 3)), shapes_of(2, (2, 2, 6)))
    f_s, f_t = torch.randn(3, 2, 4, 3).double(), torch.randn(3, 2, 2, 6).double()
    student = (f_s[:, :, 0::2] + f_s[:, :, 1::2]) / 2
    teacher = (f_t[..., 0::2] + f_t[..., 1::2]) / 2
    found = method(Signals(features=(f_s,)), Signals(features=(f_t,)), TARGETS, 0.0)["simkd"]
    assert found.item() == pytest.approx((student - teacher).square().mean().item(), rel=1e-9)


def test_gradient_is_that_of_finite_differences():
    student = torch.randn(3, 2, 2, 2).double().requires_grad_()
    teacher = torch.randn(3, 2, 2, 2).double()
    assert torch.autograd.gradcheck(lambda values: simkd_loss(values, teacher), (student,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_overflow(dtype):
    shapes = shapes_of(2, (2, 4, 4))
    student = torch.full((3, 2, 4, 4), 1e4, dtype=dtype, requires_grad=True)
    teacher = torch.full((3, 2, 4, 4), -1e4, dtype=dtype, requires_grad=True)
    loss = SimKD(shapes, shapes)(
        Signals(features=(student,)), Signals(features=(teacher,)), TARGETS, 0.0
    )["simkd"]
    assert loss.item() == pytest.approx(4e8, rel=1e-2)
    loss.backward()
    assert torch.isfinite(student.grad).all()
    assert teacher.grad is None


def test_identical_maps_cost_nothing_and_pull_nowhere():
    shapes = shapes_of(2, (2, 4, 4))
    maps = torch.randn(3, 2, 4, 4, requires_grad=True)
    loss = SimKD(shapes, shapes)(
        Signals(features=(maps,)), Signals(features=(maps.detach(),)), TARGETS, 0.0
    )["simkd"]
    loss.backward()
    assert loss.item() == 0
    assert maps.grad.abs().max() == 0


def test_an_instance_reads_maps_or_embeddings_and_the_class_both():
    maps, none = shapes_of(4, (4, 2, 2)), shapes_of(4, pooled=False)
    unpooled = shapes_of(4, (9, 2, 2), pooled=False)
    assert SimKD(maps, maps).signals == {Signal.FEATURES}
    for student, teacher in ((maps, none), (none, maps), (maps, unpooled), (none, none)):
        assert SimKD(student, teacher).signals == {Signal.EMBEDDING}
    assert SimKD.signals == {Signal.EMBEDDING, Signal.FEATURES}
    assert (SimKD.adopts_classifier, SimKD.ce_weight) == (True, 0.0)


def test_fits_students_before_and_after_adoption_and_networks_without_maps():
    plain = blueprint(STUDENT, of_images(SHAPE), 10).signal_shapes()
    after = blueprint(adopted(), of_images(SHAPE), 10).signal_shapes()
    teacher = blueprint(TEACHER, of_images(SHAPE), 10).signal_shapes()
    assert plain.embedding != teacher.embedding == after.embedding
    assert SimKD.unfit(plain, teacher) is None
    assert SimKD.unfit(after, teacher) is None
    assert SimKD.unfit(shapes_of(3, pooled=False), shapes_of(4, pooled=False)) is None


def test_unfit_pairs_have_a_reason():
    shapes = shapes_of(4, (4, 2, 2))
    assert SimKD.unfit(shapes, shapes) is None
    assert "teacher 8" in SimKD.unfit(shapes, replace(shapes, classes=8))
    assert "linear classifier" in SimKD.unfit(shapes, replace(shapes, linear_head=False))
    averaged = SignalShapes(classes=7, embedding=0, features=())
    assert "embeddings, and the teacher has none" in SimKD.unfit(shapes, averaged)


def test_a_student_that_has_not_adopted_is_refused():
    with pytest.raises(MethodError, match=r"has not adopted .* has 3 values, the teacher's 4"):
        SimKD(shapes_of(3, (3, 2, 2)), shapes_of(4, (4, 2, 2)))
    teacher = build_network(TEACHER, of_images(SHAPE), 10)
    twin = build_network(TEACHER, of_images(SHAPE), 10)
    method = SimKD(twin.signal_shapes(), teacher.signal_shapes())
    with pytest.raises(MethodError, match="has not adopted the teacher's classifier"):
        method.prepare(twin, teacher, 32)


def test_preparation_copies_and_freezes_the_teachers_classifier():
    teacher = build_network(TEACHER, of_images(SHAPE), 10).eval()
    student = build_network(adopted(), of_images(SHAPE), 10)
    method = SimKD(student.signal_shapes(), teacher.signal_shapes())
    before = {name: values.clone() for name, values in student.state_dict().items()}
    method.prepare(student, teacher, 32)
    frozen = {name for name, weight in student.named_parameters() if not weight.requires_grad}
    changed = {
        n for n, values in student.state_dict().items() if not torch.equal(values, before[n])
    }
    assert frozen == changed == {"classifier.weight", "classifier.bias"}
    assert all(weight.requires_grad for weight in teacher.parameters())
    logits, embedding, *_ = teacher.trace(torch.randn(4, *SHAPE))
    assert torch.equal(student.classifier(embedding), logits)
    assert student.classifier.weight.data_ptr() != teacher.classifier.weight.data_ptr()


def noise() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(samples: int) -> Split:
        images = torch.randint(0, 256, (samples, *SHAPE), generator=generator, dtype=torch.uint8)
        return Split.of_classes(images, torch.arange(samples) % 10)

    problem, scales = Problem.of_classes("abcdefghij"), {"image": Scale((0.5,), (0.25,))}
    return Dataset("noise", split(64), split(20), split(20), scales, problem=problem)


@pytest.fixture(scope="module")
def trained() -> tuple[Trainer, Teacher, list[float]]:
    torch.manual_seed(1)
    teacher = Teacher(build_network(TEACHER, of_images(SHAPE), 10))
    task = Task(
        model=adopted(),
        method=method_config(REFERENCE, {}),
        training=TrainingConfig(epochs=8, batch_size=32, optimizer="adamw", lr=5e-3),
        views_seed=1,
        seed=2,
    )
    trainer = Trainer(task, noise(), teacher)
    losses = [trainer.train_epoch().loss for _ in range(8)]
    return trainer, teacher, losses


def test_training_needs_no_labels_and_brings_the_maps_together(trained):
    trainer, _, losses = trained
    assert trainer.task.method.ce_weight == 0
    assert losses[-1] < 0.7 * losses[0]


def test_training_moves_backbone_and_projector_and_not_the_classifier(trained):
    trainer, teacher, _ = trained
    torch.manual_seed(2)
    start = build_network(trainer.task.model, of_images(SHAPE), 10).state_dict()
    end = trainer.student.state_dict()
    still = {name for name, values in end.items() if torch.equal(values, start[name])}
    assert still == set()
    assert torch.equal(end["classifier.weight"], teacher.network.state_dict()["classifier.weight"])
    assert torch.equal(end["classifier.bias"], teacher.network.state_dict()["classifier.bias"])


def test_a_sum_adds_the_labels_and_the_softened_answers():
    teacher = build_network(TEACHER, of_images(SHAPE), 10).eval()
    student = build_network(adopted(), of_images(SHAPE), 10)
    config = method_config(f"kd+{REFERENCE}", {})
    objective = Objective(config, student.signal_shapes(), teacher.signal_shapes())
    assert objective.signals == {Signal.LOGITS, Signal.FEATURES}
    objective.prepare(student, teacher, 32)
    images = torch.randn(4, *SHAPE)
    with torch.no_grad():
        answers = teacher.observe({"image": images}, objective.signals)
    targets = Targets(torch.arange(4))
    parts = objective(
        student.observe({"image": images}, objective.signals), answers, {"label": targets}, 0.0
    )
    assert {"kd", "simkd"} <= parts.keys()
    parts["loss"].backward()
    weights = student.named_parameters()
    assert {name for name, weight in weights if weight.grad is None} == {
        "classifier.weight",
        "classifier.bias",
    }
