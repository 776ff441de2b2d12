"""The one training loop on a CUDA device, beside the same training on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish

MakeTrainer = Callable[..., Trainer]

pytestmark = pytest.mark.gpu

STUDENTS = {
    "convnet": {"family": "convnet", "width": 0.5, "depth": 2},
    "resnet": {"family": "resnet", "width": 0.5, "depth": 8},
}
each_student = pytest.mark.parametrize("model", STUDENTS.values(), ids=STUDENTS)
each_method = pytest.mark.parametrize("label", ["none", "kd", "fitnet", "crd", "reviewkd"])


@pytest.fixture
def draws_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """CRD draws its negatives on the device, whose generator is another one: here on the CPU."""
    drawn = torch.randint

    def draw(*args: int | tuple[int, ...], device: torch.device | None = None) -> torch.Tensor:
        return drawn(*args).to(device)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(torch, "randint", draw)


def losses(trainer: Trainer) -> list[float]:
    """The loss of each of the first epoch's four steps."""
    batches = enumerate(trainer.begin_epoch())
    return [float(trainer.train_step(batch, step)) for step, batch in batches]


@pytest.mark.usefixtures("whole_float32", "draws_of_the_cpu")
@each_student
@each_method
def test_in_float32_it_is_the_training_of_the_cpu(
    make_trainer: MakeTrainer, device: torch.device, label: str, model: dict
) -> None:
    options = {"model": model, "precision": "float32", "augment": {"crop": 1}}
    trainer = make_trainer(device, label, **options)
    found, expected = losses(trainer), losses(make_trainer("cpu", label, **options))
    assert {value.device.type for value in trainer.distiller.parameters()} == {device.type}
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    # what rounds otherwise grows with every step
    assert found == pytest.approx(expected, rel=1e-2)


@each_student
@each_method
def test_in_bfloat16_it_stays_finite(
    make_trainer: MakeTrainer, device: torch.device, label: str, model: dict
) -> None:
    trainer = make_trainer(device, label, model=model, precision="bfloat16")
    for report in finish(trainer):
        assert all(math.isfinite(value) for value in report.as_dict().values())
    assert all(torch.isfinite(value).all() for value in trainer.distiller.parameters())


@pytest.mark.parametrize("label", ["kd+fitnet", "crd"])
def test_the_same_seed_gives_the_same_training_and_with_deterministic_kernels_the_same_bits(
    make_trainer: MakeTrainer,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    label: str,
) -> None:
    first, second = (finish(make_trainer(device, label)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-2)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    trainers = [make_trainer(device, label) for _ in range(2)]
    for trainer in trainers:
        finish(trainer)
    assert_same_weights(trainers[0].distiller, trainers[1].distiller)


@pytest.mark.usefixtures("whole_float32")
def test_a_checkpoint_goes_on_on_the_cpu_and_back(
    make_trainer: MakeTrainer, device: torch.device, tmp_path: Path
) -> None:
    options = {"epochs": 4, "precision": "float32"}
    expected = finish(make_trainer("cpu", "kd+fitnet", **options))
    found = []
    for place, on in enumerate([device, "cpu", device, "cpu"]):
        trainer = make_trainer(on, "kd+fitnet", **options)
        if place:
            load_training(trainer, tmp_path)
        found.append(trainer.train_epoch())
        save_training(trainer, tmp_path)
    assert [report.epoch for report in found] == [1, 2, 3, 4]
    for one, other in zip(found, expected, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=2e-2)
        assert one.scores.nll == pytest.approx(other.scores.nll, rel=5e-2)
