"""Adaptive batch normalisation: against NumPy, PyTorch's own loop, and a training without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from kdsearch.data import Dataset, Views
from kdsearch.errors import DataError, ModelError
from kdsearch.models import Network, Trace, build_network, of_images
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.evaluation import evaluate
from kdsearch.training.target_statistics import normalisations, set_statistics
from kdsearch.training.task import Task
from kdsearch.training.teacher import plain_views
from kdsearch.training.trainer import Trainer, shipped_weights
from tests.training.trainings import assert_same_weights, finish, through_a_file

MakeTask = Callable[..., Task]
CPU = torch.device("cpu")
TARGET = 100
"""Target samples of the data."""


class Dropping(Network):
    """Normalised linear layers with a dropout between them that hides almost everything."""

    def __init__(self) -> None:
        super().__init__(of_images((1, 2, 2)), 3)
        self.first, self.between = nn.BatchNorm1d(4), nn.Dropout(0.9)
        self.layer, self.second = nn.Linear(4, 5), nn.BatchNorm1d(5)
        self.classifier = nn.Linear(5, 3)

    def trace(self, images: Tensor) -> Trace:
        hidden = self.layer(self.between(self.first(images.flatten(1))))
        embedding = self.second(hidden).relu()
        return Trace(self.classifier(embedding), embedding, ())


@pytest.fixture(scope="module")
def adapting(digits: Dataset) -> Dataset:
    """Digits of which the last hundred are of another domain: negatives of the scans."""
    images, domain = digits.train.images.clone(), torch.arange(240) >= 240 - TARGET
    images[domain] = images.max() - images[domain]
    train = replace(digits.train, inputs={"image": images}, domain=domain)
    validation, test = (
        replace(split, inputs={"image": images.max() - split.images})
        for split in (digits.validation, digits.test)
    )
    return replace(digits, train=train, validation=validation, test=test, source_test=digits.test)


def batches(count: int, size: int, seed: int = 0) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    shape = (size, 1, 2, 2)
    return [{"image": 2 + 3 * torch.randn(shape, generator=generator)} for _ in range(count)]


def statistics(network: nn.Module) -> list[Tensor]:
    return [
        values.clone()
        for layer in normalisations(network)
        for values in (layer.running_mean, layer.running_var)
        if values is not None
    ]


def of_target(network: Network, data: Dataset) -> Network:
    """A copy with the statistics that PyTorch's own loop gives it over all target samples."""
    views = Views(data.train, data.scales, None, 0)
    assert data.train.domain is not None
    inputs = views.inputs(data.train.domain.nonzero().flatten(), 0)
    other = deepcopy(network)
    other.train()
    update_bn([other.taken(inputs)[0]], other)
    return other.eval()


def test_they_are_means_over_the_batches_without_dropout() -> None:
    torch.manual_seed(0)
    network, given = Dropping().train(), batches(3, 6)
    set_statistics(network, given)
    seen = [each["image"].flatten(1).numpy().astype(np.float64) for each in given]
    layer = network.layer
    for norm in (network.first, network.second):
        mean = np.mean([each.mean(axis=0) for each in seen], axis=0)
        variance = np.mean([each.var(axis=0, ddof=1) for each in seen], axis=0)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-4)
        normal = [(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) for x in seen]
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        seen = [x @ weight.T + bias for x in normal] if norm is network.first else []


def test_modes_momentum_weights_and_gradients_are_left_alone() -> None:
    torch.manual_seed(0)
    network = Dropping().train()
    network.first.eval()
    network.second.momentum = 0.3
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    modes = [part.training for part in network.modules()]
    set_statistics(network, batches(2, 4))
    assert [part.training for part in network.modules()] == modes
    assert (network.first.momentum, network.second.momentum) == (0.1, 0.3)
    for name, parameter in network.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_a_network_without_batch_normalisation_is_refused() -> None:
    network = build_network(ModelConfig(family="mlp", width=0.25), of_images((1, 2, 2)), 3)
    with pytest.raises(ModelError, match="the student has none"):
        set_statistics(network, batches(1, 4))


def test_the_training_is_that_without_it_and_its_end_has_the_targets_statistics(
    adapting: Dataset, make_task: MakeTask
) -> None:
    plain, adapted = (Trainer(make_task(label), adapting) for label in ("none", "adabn"))
    for _ in range(2):
        reports = [trainer.train_epoch() for trainer in (plain, adapted)]
        assert reports[0].loss == reports[1].loss
        if not adapted.finished:
            assert_same_weights(plain.student, adapted.student)
        network = of_target(plain.student, adapting)
        expected = evaluate(network, plain_views(adapting, "validation", CPU), adapting.problem)
        assert reports[1].scores["nll"] == pytest.approx(expected["nll"], rel=1e-5)
        assert reports[1].scores["nll"] != reports[0].scores["nll"]
    for name, parameter in plain.student.named_parameters():
        assert torch.equal(parameter, adapted.student.get_parameter(name))
    for found, expected in zip(statistics(adapted.student), statistics(network), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    shipped = shipped_weights(adapted.state_dict())
    assert all(torch.equal(shipped[k], v) for k, v in adapted.student.state_dict().items())
    test = evaluate(adapted.student, plain_views(adapting, "test", CPU), adapting.problem)
    assert adapted.score_test()["nll"] == test["nll"]


def test_the_average_that_is_shipped_and_that_of_a_rung_are_adapted(
    adapting: Dataset, make_task: MakeTask
) -> None:
    task = make_task("adabn", epochs=3, ema=0.9)
    plain = Trainer(task.model_copy(update={"method": make_task().method}), adapting, rungs=[1])
    adapted = Trainer(task, adapting, rungs=[1])
    before, after = plain.train_epoch(), adapted.train_epoch()
    assert plain._average is None  # beyond the last rung
    assert after.averaged is not None
    assert before.averaged is not None
    assert after.averaged["nll"] != before.averaged["nll"]
    finish(plain)
    finish(adapted)
    for name, parameter in plain.student.named_parameters():
        assert torch.equal(parameter, adapted.student.get_parameter(name))
    expected = statistics(of_target(plain.student, adapting))
    for found, value in zip(statistics(adapted.student), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-6)


def test_half_precision_is_shipped_as_it_was_scored(adapting: Dataset, make_task: MakeTask) -> None:
    model = {"family": "convnet", "width": 0.5, "depth": 2, "stored": "float16"}
    trainer = Trainer(make_task("adabn", model=model), adapting)
    finish(trainer)
    for values in (*statistics(trainer.student), *trainer.student.parameters()):
        assert torch.equal(values.half().float(), values)


def test_a_resumed_training_ends_with_the_same_statistics(
    adapting: Dataset, make_task: MakeTask
) -> None:
    task = make_task("adabn", epochs=2)
    one, other = (Trainer(task, adapting) for _ in range(2))
    one.train_epoch()
    other.load_state_dict(through_a_file(one.state_dict()))
    finish(one)
    finish(other)
    assert_same_weights(one.student, other.student)


@pytest.mark.parametrize("there", [0, 1])
def test_a_target_without_samples_is_refused(
    adapting: Dataset, make_task: MakeTask, there: int
) -> None:
    few = replace(adapting, train=replace(adapting.train, domain=torch.arange(240) < there))
    with pytest.raises(DataError, match="at least two training samples of the target"):
        Trainer(make_task("adabn"), few)


def test_data_of_one_domain_are_refused(digits: Dataset, make_task: MakeTask) -> None:
    with pytest.raises(DataError, match="adabn adapts to a target domain"):
        Trainer(make_task("adabn"), digits)


PROGRAM = """
import sys
import torch
import torch.distributed as dist
from kdsearch.training.ranks import Ranks
from kdsearch.training.target_statistics import set_statistics
from tests.training.test_target_statistics import Dropping, batches

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
torch.manual_seed(0)
network, ranks = Dropping(), Ranks(rank, 2)
set_statistics(network, batches(3, 6)[rank::2], ranks)
torch.save(network.state_dict(), f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_workers_share_the_batches_out(tmp_path: Path) -> None:
    """Of three batches one worker has two: the means are still over all three."""
    commands = [[sys.executable, "-c", PROGRAM, str(rank), str(tmp_path)] for rank in (0, 1)]
    workers = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in commands]
    for worker in workers:
        _, complaint = worker.communicate(timeout=600)
        assert worker.returncode == 0, complaint
    torch.manual_seed(0)
    alone = Dropping()
    set_statistics(alone, batches(3, 6))
    for rank in (0, 1):
        found: dict[str, Any] = torch.load(tmp_path / f"{rank}.pt")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6, msg=name)
