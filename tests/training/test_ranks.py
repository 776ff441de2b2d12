"""Workers that share a batch: alone, and as two processes over gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.models import build_network
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.models.weights.sources import with_known_weights
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import DataSection
from kdsearch.training.ranks import Ranks
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

PROGRAM = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from kdsearch.data import load_dataset
from kdsearch.spec.sections import DataSection
from kdsearch.training.ranks import Ranks
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer
from kdsearch.models.weights import save_weights

rank, folder, tasks = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
ranks = Ranks(rank, 2)
labels = json.loads(sys.argv[4])
data = load_dataset(
    DataSection(source="digits", validation=0.2, test=0.25, limit=300, labels=labels)
)
told = {
    "first": ranks.first,
    "sum": ranks.sum(torch.tensor([1.0 + rank, 10.0])).tolist(),
    "decided": [ranks.decide(torch.tensor(float(rank == speaker))) for speaker in (0, 1)],
    "reports": [],
}
for number, content in enumerate(tasks):
    trainer = Trainer(Task.model_validate(content), data, ranks=ranks)
    while not trainer.finished:
        report = trainer.train_epoch()
    told["reports"].append([report.loss, report.scores["accuracy"], report.scores["nll"]])
    save_weights(trainer.student, folder / f"{number}-{rank}.safetensors")
(folder / f"{rank}.json").write_text(json.dumps(told))
del trainer  # its reducer first, or now and then the process is aborted at its end
dist.destroy_process_group()
"""


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [0, 1, 12, 13])
def test_the_shares_make_up_the_batch(workers: int, size: int) -> None:
    index = torch.randperm(size)
    shares = [Ranks(rank, workers).share(index) for rank in range(workers)]
    assert sorted(torch.cat(shares).tolist()) == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_worker_alone_speaks_sums_and_decides_for_itself() -> None:
    alone = Ranks()
    assert alone.first
    assert alone.sum(torch.tensor([2.0, 3.0])).tolist() == [2, 3]
    assert [alone.decide(torch.tensor(value)) for value in (1.0, 0.0)] == [True, False]


class TwoWorkers:
    """What two processes told of some trainings, and the students that each ended with."""

    def __init__(
        self, tasks: list[Task], data: Dataset, folder: Path, labels: int | None = None
    ) -> None:
        self.tasks, self.data, self.folder = tasks, data, folder
        content = json.dumps([task.model_dump(mode="json") for task in tasks])
        commands = [
            [sys.executable, "-c", PROGRAM, str(r), str(folder), content, json.dumps(labels)]
            for r in (0, 1)
        ]
        workers = [
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands
        ]
        for worker in workers:
            _, complaint = worker.communicate(timeout=900)
            assert worker.returncode == 0, complaint
        self.told: list[dict[str, Any]] = [
            json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)
        ]

    def trainer(self, task: int, rank: int) -> Trainer:
        """A trainer in this process that holds a worker's student."""
        trainer = Trainer(self.tasks[task], self.data)
        load_weights(trainer.student, self.folder / f"{task}-{rank}.safetensors", "the student")
        return trainer


def begun_with_weights(make_task: Callable[..., Task], data: Dataset, folder: Path) -> Task:
    """The head first, then all but the first layer, at several rates; the average is shipped."""
    model = {"family": "mlp", "width": 0.5, "depth": 2}
    save_weights(build_network(ModelConfig(**model), data.inputs, 10), folder / "mlp.safetensors")
    tuning = {"head_epochs": 1, "freeze": 1, "layer_decay": 0.5}
    task = make_task(
        model=model | {"weights": str(folder / "mlp.safetensors")},
        fine_tuning=tuning,
        ema=0.9,
        epochs=3,
    )
    return task.model_copy(update={"model": with_known_weights(task.model)})


@pytest.fixture(scope="module")
def two_workers(
    digits: Dataset, make_task: Callable[..., Task], tmp_path_factory: pytest.TempPathFactory
) -> TwoWorkers:
    plain = make_task(model={"family": "mlp", "width": 0.5, "depth": 2}, augment={"crop": 1})
    normalised = make_task(augment={"flip": True}, lr=0.2)
    balanced = make_task(
        model={"family": "mlp", "width": 0.5, "depth": 2},
        class_weights={"3": 5.0, "8": 0.1},
        sampling="balanced",
    )
    tuned = begun_with_weights(make_task, data=digits, folder=tmp_path_factory.mktemp("weights"))
    tasks = [plain, normalised, balanced, tuned]
    return TwoWorkers(tasks, digits, tmp_path_factory.mktemp("ranks"))


@pytest.mark.slow
def test_two_workers_add_up_and_follow_the_first(two_workers: TwoWorkers) -> None:
    assert [told["first"] for told in two_workers.told] == [True, False]
    assert [told["sum"] for told in two_workers.told] == [[3.0, 20.0]] * 2
    assert [told["decided"] for told in two_workers.told] == [[True, False]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("task", [0, 2, 3], ids=["plain", "balanced", "fine-tuned"])
def test_two_workers_without_batch_statistics_train_as_one(
    two_workers: TwoWorkers, task: int
) -> None:
    alone = Trainer(two_workers.tasks[task], two_workers.data)
    while not alone.finished:
        report = alone.train_epoch()
    expected = alone.student.state_dict()
    for rank in (0, 1):
        found = two_workers.trainer(task, rank).student.state_dict()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)
        told = two_workers.told[rank]["reports"][task]
        assert told == pytest.approx(
            [report.loss, report.scores["accuracy"], report.scores["nll"]], rel=1e-4
        )


@pytest.mark.slow
def test_two_workers_see_the_strong_views_that_one_sees(
    make_task: Callable[..., Task], tmp_path: Path
) -> None:
    section = DataSection(source="digits", validation=0.2, test=0.25, limit=300, labels=60)
    data = load_dataset(section)
    task = make_task(
        "fixmatch",
        {"confidence": 0.2},
        {"family": "mlp", "width": 0.5, "depth": 2},
        strong={"crop": 2, "cutout": 3},
        unlabelled_ratio=2,  # 20 labelled and 40 unlabelled samples a batch, half for each worker
    )
    two = TwoWorkers([task], data, tmp_path, labels=60)
    alone = Trainer(task, data)
    while not alone.finished:
        report = alone.train_epoch()
    assert two.told[0]["reports"][0][0] == pytest.approx(report.loss, rel=1e-4)
    for rank in (0, 1):
        found = two.trainer(0, rank).student.state_dict()
        for name, value in alone.student.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_workers_report_the_scores_of_the_network_that_is_kept(
    two_workers: TwoWorkers,
) -> None:
    """Each worker has batch statistics of its own share; those of the first are kept."""
    scores = two_workers.trainer(1, rank=0).evaluate_validation()
    for told in two_workers.told:
        _, accuracy, nll = told["reports"][1]
        assert accuracy == scores["accuracy"]
        assert nll == pytest.approx(scores["nll"], rel=1e-6)
