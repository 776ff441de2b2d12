"""The training loop against a plain one, its reports, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Dataset, Views, epoch_order
from kdsearch.errors import DataError, DivergedError, MethodError
from kdsearch.methods import method_names, parse_label
from kdsearch.models import Network, build_network
from kdsearch.space.compatibility import adopting
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.pictures import pictured
from tests.training.trainings import assert_same_weights, finish

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain_training(task: Task, data: Dataset, loss: Loss) -> Network:
    """The same training, written down as in a tutorial: SGD, cosine, no clipping."""
    torch.manual_seed(task.seed)
    model = build_network(task.model, data.inputs, len(data.classes))
    views = Views(data.train, data.scales, task.augment, task.views_seed)
    config = task.training
    steps = len(data.train) // config.batch_size
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    done = 0
    for epoch in range(config.epochs):
        model.train()
        order = epoch_order(task.seed, epoch, len(data.train))
        for step in range(steps):
            images, targets = pictured(
                views.batch(order[step * config.batch_size : (step + 1) * config.batch_size], epoch)
            )
            angle = math.pi * done / (config.epochs * steps)
            optimizer.param_groups[0]["lr"] = config.lr * (1 + math.cos(angle)) / 2
            optimizer.zero_grad()
            loss(model(images), targets["label"].labels, images).backward()
            optimizer.step()
            done += 1
    return model


def test_an_undistilled_training_is_the_plain_loop(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    task = make_task(batch_size=50, augment={"crop": 1, "flip": True}, clip_grad_norm=None)
    trainer = Trainer(task, digits)
    finish(trainer)
    expected = plain_training(
        task, digits, lambda logits, labels, _: F.cross_entropy(logits, labels)
    )
    assert_same_weights(trainer.student, expected, 1e-6)


def test_a_distilled_training_is_the_plain_loop(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    values = {"temperature": 3.0, "weight": 0.7, "ce_weight": 0.4}
    task = make_task("kd", values, augment={"crop": 1, "cutout": 3}, clip_grad_norm=None)
    teacher = make_teacher()
    trainer = Trainer(task, digits, make_teacher())
    finish(trainer)

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            soft = torch.softmax(teacher.network(images) / 3, dim=1)
        log_student = (logits / 3).log_softmax(dim=1)
        divergence = (soft * (soft.log() - log_student)).sum() / len(labels)
        likelihood = logits.log_softmax(dim=1)[torch.arange(len(labels)), labels]
        return 0.7 * 9 * divergence - 0.4 * likelihood.mean()

    assert_same_weights(trainer.student, plain_training(task, digits, loss), 1e-5)


def test_clipping_bounds_the_norm_of_a_step(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    options = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    trainer = Trainer(make_task(clip_grad_norm=0.01, **options), digits)
    before = [parameter.detach().clone() for parameter in trainer.student.parameters()]
    trainer.train_step(next(trainer.begin_epoch()), 0)
    after = zip(trainer.student.parameters(), before, strict=True)
    moved = math.sqrt(sum((now - then).detach().square().sum().item() for now, then in after))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_the_last_incomplete_batch_is_left_out(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    assert Trainer(make_task(batch_size=64), digits).steps_per_epoch == 3  # of 240 samples
    assert Trainer(make_task(batch_size=60), digits).steps_per_epoch == 4


def test_a_report_tells_of_its_epoch(digits: Dataset, make_task: Callable[..., Task]) -> None:
    trainer = Trainer(make_task(epochs=3, lr=0.1), digits)
    assert not trainer.finished
    reports = finish(trainer)
    assert [report.epoch for report in reports] == [1, 2, 3]
    # the last step of epoch e is step 4 e - 1 of 12
    rates = [0.05 * (1 + math.cos(math.pi * (4 * epoch - 1) / 12)) for epoch in (1, 2, 3)]
    assert [report.lr for report in reports] == pytest.approx(rates)
    assert reports[-1].loss < reports[0].loss
    assert all(report.seconds > 0 for report in reports)
    scores = trainer.evaluate_validation()
    assert reports[-1].scores == scores
    assert reports[-1].as_dict().keys() == {"epoch", "loss", "lr", "seconds", *scores}


def test_the_reported_loss_is_the_mean_over_the_steps(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    task = make_task(epochs=1)
    report = Trainer(task, digits).train_epoch()
    stepwise = Trainer(task, digits)
    losses = [
        float(stepwise.train_step(batch, step)) for step, batch in enumerate(stepwise.begin_epoch())
    ]
    assert len(losses) == 4
    assert report.loss == pytest.approx(sum(losses) / 4, rel=1e-6)


def test_distillation_brings_the_student_nearer_to_the_teacher(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    views = Views(digits.validation, digits.scales, None, 0)
    images = views.inputs(torch.arange(60), 0)["image"]
    distances = {}
    for label in ("none", "mse_logits"):
        trainer = Trainer(make_task(label, epochs=4), digits, make_teacher())
        finish(trainer)
        with torch.no_grad():
            gap = trainer.student.eval()(images) - make_teacher().network(images)
        distances[label] = float(gap.square().mean())
    assert distances["mse_logits"] < distances["none"] / 2


@pytest.mark.parametrize("label", [*method_names(), "kd+fitnet", "dkd+at", "dist+rkd"])
def test_every_method_trains_under_every_augmentation(
    digits: Dataset,
    make_task: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    label: str,
) -> None:
    terms = parse_label(label)
    mixed = not any(term.by_sample or term.strong_view or term.adapts for term in terms)
    if any(term.adapts for term in terms):
        domain = torch.arange(len(digits.train)) % 2 == 0
        digits = replace(digits, train=replace(digits.train, domain=domain))
    augment = {
        "crop": 2,
        "flip": True,
        "vertical_flip": True,
        "rotation": 10,
        "trivial_augment": True,
        "color_jitter": {"brightness": 0.2, "contrast": 0.2},
        "random_erasing": {},
        "cutout": 3,
        "mixup": 0.4 if mixed else 0,
        "cutmix": 1 if mixed else 0,
    }
    strong = {"rand_augment": {}} if any(term.strong_view for term in terms) else None
    task = make_task(label, augment=augment, strong=strong)
    model = adopting(label, task.model, ModelConfig(family="convnet", width=1, depth=3))
    trainer = Trainer(task.model_copy(update={"model": model}), digits, make_teacher())
    start = {name: value.clone() for name, value in trainer.student.named_parameters()}
    reports = finish(trainer)
    assert all(math.isfinite(value) for report in reports for value in report.as_dict().values())
    parameters = dict(trainer.student.named_parameters())
    learnt = {name for name, value in parameters.items() if value.requires_grad}
    assert all(not torch.equal(start[name], parameters[name]) for name in learnt)


@pytest.mark.parametrize("family", ["convnet", "mlp"])
@pytest.mark.parametrize("clip", [None, 5.0])
def test_an_absurd_learning_rate_is_told_with_its_epoch(
    digits: Dataset, make_task: Callable[..., Task], family: str, clip: float | None
) -> None:
    model = {"family": family, "width": 0.5, "depth": 2}
    task = make_task(model=model, lr=1e30, epochs=20, clip_grad_norm=clip)
    with pytest.raises(DivergedError, match=r"became (nan|inf) in epoch \d+; lower the learning"):
        finish(Trainer(task, digits))


def test_a_last_step_that_breaks_the_network_is_told_by_its_outputs(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    task = make_task(model={"family": "mlp", "width": 0.5}, lr=1e30, batch_size=240)
    with pytest.raises(DivergedError, match="on the validation split in epoch 1; lower the"):
        Trainer(task, digits).train_epoch()


def test_a_batch_larger_than_the_data_is_refused(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    with pytest.raises(DataError, match="240 training samples do not fill one batch of 241"):
        Trainer(make_task(batch_size=241), digits)


def test_a_method_without_a_teacher_is_refused(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    with pytest.raises(MethodError, match="needs a teacher"):
        Trainer(make_task("kd"), digits)


def test_the_test_split_is_scored_as_any_other(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    trainer = Trainer(make_task(), digits)
    finish(trainer)
    images, targets = pictured(
        Views(digits.test, digits.scales, None, 0).batch(torch.arange(len(digits.test)), 0)
    )
    with torch.no_grad():
        right = trainer.student.eval()(images).argmax(dim=1) == targets["label"].labels
    assert trainer.score_test()["accuracy"] == pytest.approx(float(right.double().mean()))
