"""What kdsearch saves over distillation as it is ordinarily written: by epoch, and by search.

The ordinary loop takes each picture through PIL and torchvision's transforms (crop, flip,
``ToTensor``, ``Normalize``) in a ``DataLoader`` with two worker processes, asks the live teacher at
every step, and knows PyTorch's defaults alone. Teacher resnet32x4, student resnet8x4, pictures of
32×32, batches of 64; both sides evaluate on the same validation pictures after each epoch.

``epochs_speedup``, by cores: epochs a second of trials of kdsearch, with the teacher's answers
kept, over those of the ordinary loop at its best. On one core all processes, the loader's too,
share it, and the ordinary loop has two loader processes or none; on two, kdsearch trains two
students side by side, and the ordinary loop one with two threads or two with one. The first epoch,
and with it every start, is not counted. In ``epochs_speedup_with_building`` the trials of one
search share the time that the cache takes.

``search_speedup``: wall clock of a whole search, from the start of its process to the end, Ray's
start and the building of the cache counted, over kdsearch's. Both sides try the same
configurations, two at a time on two cores: kdsearch as ``StudyRun`` (without finalists and MLflow),
the ordinary loop under Ray Tune with ``OptunaSearch``, or one trial after another in one process
with two threads, whichever is faster.

    python tests/benchmarks/throughput.py --json throughput.json --data CIFAR-10-images.zip

With ``--quick`` epochs of fewer pictures, fewer rounds, and a search of 6 trials instead of 20; its
start then weighs more, so the search's ratio is lower. Without ``--data`` the pictures are noise,
which takes the same time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray
import torch
import torch.nn.functional as F  # noqa: N812
from measuring import keep_answers, machine, quieten, ratio, run_search, shown, study_spec
from PIL import Image
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from kdsearch.data import load_dataset, pack, unpack
from kdsearch.models import Network, build_network
from kdsearch.search.caching import plan_caches, prepare_caches
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.plan import make_plan
from kdsearch.search.study import Study
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec
from kdsearch.training.cache import CachedTeacher
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer

TEACHER = ModelConfig(family="resnet", depth=32, width=4)
STUDENT = ModelConfig(family="resnet", depth=8, width=4)
BATCH = 64
CLASSES = 10
LOADERS = 2
WEIGHT, CE_WEIGHT = 0.9, 0.1
LR, TEMPERATURE = (0.01, 0.1), (1.0, 8.0)
"""Ranges of the search."""

Config = dict[str, float]
"""``lr`` and ``temperature`` of a trial."""


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        train: Training pictures, a multiple of the batch.
        validation: Validation pictures.
        rounds: Epochs of each side that are measured.
        trials: Trials of a search.
        epochs: Epochs of such a trial.
        searches: Searches of each side.
    """

    train: int = 640
    validation: int = 160
    rounds: int = 7
    trials: int = 20
    epochs: int = 2
    searches: int = 2

    def spec(self, folder: Path, archive: Path | None, name: str, epochs: int) -> StudySpec:
        """The study of kdsearch; a study of the same folder has the same teacher."""
        samples = self.train + self.validation
        options = {"samples": samples, "test": CLASSES, "shape": [3, 32, 32], "classes": CLASSES}
        return study_spec(
            folder,
            name,
            options | {"archive": archive and str(archive.resolve())},
            data={"validation": self.validation / samples, "augment": {"crop": 4, "flip": True}},
            teacher=TEACHER.model_dump(),
            students=[STUDENT.model_dump(include={"family", "depth", "width"})],
            methods={
                "kd": {
                    "weight": WEIGHT,
                    "ce_weight": CE_WEIGHT,
                    "temperature": {"low": TEMPERATURE[0], "high": TEMPERATURE[1]},
                }
            },
            training={
                "epochs": epochs,
                "batch_size": BATCH,
                "lr": {"low": LR[0], "high": LR[1], "log": True},
            },
            search={"trials": self.trials},
            resources={"concurrent": 2},
        )

    def configs(self) -> list[Config]:
        """What every search tries."""
        drawn = np.random.default_rng(0).random((self.trials, 2))
        return [
            {
                "lr": float(LR[0] * (LR[1] / LR[0]) ** first),
                "temperature": float(TEMPERATURE[0] + (TEMPERATURE[1] - TEMPERATURE[0]) * second),
            }
            for first, second in drawn
        ]


QUICK = Setting(train=128, validation=32, rounds=2, trials=6, searches=1)


@dataclass(frozen=True)
class Material:
    """What the ordinary loop is given.

    Attributes:
        train: Pictures uint8 [N, H, W, C] and their labels, as torchvision's data sets hold them.
        validation: Likewise.
        mean: [C] of the training pictures.
        std: [C] likewise.
        checkpoint: The teacher's weights.
    """

    train: tuple[np.ndarray, list[int]]
    validation: tuple[np.ndarray, list[int]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checkpoint: Path

    @staticmethod
    def of(spec: StudySpec) -> Material:
        """The very pictures and teacher of a study."""
        data, checkpoint = load_dataset(spec.data), spec.teacher.checkpoint
        assert checkpoint is not None
        train, validation = (
            (split.images[:].permute(0, 2, 3, 1).contiguous().numpy(), split.labels.tolist())
            for split in (data.train, data.validation)
        )
        return Material(train, validation, data.mean, data.std, checkpoint)


class Pictures(torch.utils.data.Dataset):
    """Pictures in memory, each taken through PIL as torchvision's own data sets do."""

    def __init__(
        self, held: tuple[np.ndarray, list[int]], transform: Callable[..., Tensor]
    ) -> None:
        self._images, self._labels = held
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[place])), self._labels[place]


class Ordinary:
    """Distillation as it is ordinarily written.

    Args:
        material: Pictures and teacher.
        config: The trial.
        epochs: Its epochs.
        loaders: Worker processes of a ``DataLoader``.
    """

    def __init__(
        self, material: Material, config: Config, epochs: int, loaders: int = LOADERS
    ) -> None:
        as_tensor = [transforms.ToTensor(), transforms.Normalize(material.mean, material.std)]
        changes = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        train = Pictures(material.train, transforms.Compose([*changes, *as_tensor]))
        validation = Pictures(material.validation, transforms.Compose(as_tensor))
        # kept alive between epochs: their start would weigh more here than in epochs of full length
        workers: dict[str, Any] = {"num_workers": loaders}
        if loaders:
            # forked, as on Linux by default; a child of this benchmark would import all anew
            workers |= {"persistent_workers": True, "multiprocessing_context": "fork"}
        self._train = DataLoader(train, BATCH, shuffle=True, drop_last=True, **workers)
        self._validation = DataLoader(validation, 512, **workers)
        self._teacher = _network(TEACHER)
        self._teacher.load_state_dict(load_file(material.checkpoint))
        self._teacher.eval()
        self._student = _network(STUDENT)
        self._optimizer = torch.optim.SGD(
            self._student.parameters(), config["lr"], momentum=0.9, weight_decay=5e-4, nesterov=True
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, epochs)
        self._temperature = config["temperature"]

    def epoch(self) -> float:
        """Train for one epoch; accuracy on validation."""
        self._student.train()
        for images, labels in self._train:
            with torch.no_grad():
                answers = self._teacher(images)
            loss = self._loss(self._student(images), answers, labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self._schedule.step()
        return self._evaluate()

    def _loss(self, logits: Tensor, answers: Tensor, labels: Tensor) -> Tensor:
        soft = F.kl_div(
            F.log_softmax(logits / self._temperature, dim=1),
            F.softmax(answers / self._temperature, dim=1),
            reduction="batchmean",
        )
        return WEIGHT * self._temperature**2 * soft + CE_WEIGHT * F.cross_entropy(logits, labels)

    def _evaluate(self) -> float:
        self._student.eval()
        correct = count = 0
        with torch.no_grad():
            for images, labels in self._validation:
                correct += int((self._student(images).argmax(dim=1) == labels).sum())
                count += len(labels)
        return correct / count


def _network(model: ModelConfig) -> Network:
    return build_network(model, (3, 32, 32), CLASSES)


class CachedTrial:
    """A trial of kdsearch, taught by a cache that is built one epoch at a time."""

    def __init__(self, spec: StudySpec) -> None:
        plan, device = make_plan(spec), torch.device("cpu")
        teacher = Teacher(plan.given_teachers["teacher"].build(plan.data))
        caches = plan_caches(plan, {"teacher": teacher})
        prepare_caches(caches, spec.cache)
        data = unpack(pack(plan.data))
        kept = caches.teachers["teacher"].plan
        self._teacher = CachedTeacher(kept.builder(teacher, data, device))
        self._views = kept.subject.views(data, device)
        reference = Reference(teacher, data)
        self._kept = 0
        task = plan.space.suggest(optuna.trial.FixedTrial(_as_proposed({"lr": 0.05})))
        self._trainer = Trainer(task.task(spec, 0), data, self._teacher, reference=reference)

    def build(self) -> None:
        """Have the teacher's answers to the next epoch kept."""
        keep_answers(self._teacher, self._views, self._kept)
        self._kept += 1

    def epoch(self) -> float:
        """Train for one epoch; accuracy on validation."""
        return self._trainer.train_epoch().scores.accuracy


def _as_proposed(config: Config) -> dict[str, Any]:
    """A configuration by the names that kdsearch's search gives its parameters."""
    temperature = config.get("temperature", 4.0)
    return {"method": "kd", "kd.temperature": temperature, "lr": config["lr"]}


def _serve(
    connection: Any, make: Callable[..., Any], given: tuple, cores: set, threads: int
) -> None:
    """Make something in a process of its own and call it as it is told."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    # of two loader processes on one core, which is measured beside none
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    made = make(*given)
    connection.send(None)
    while (method := connection.recv()) is not None:
        getattr(made, method)()
        connection.send(None)


class Side:
    """Equal trainings side by side, each in its own process.

    Args:
        make: Makes a training in its process.
        given: For it.
        cores: What the processes, and those that they start, run on.
        threads: Of PyTorch, in each.
        count: How many.
    """

    def __init__(
        self, make: Callable[..., Any], given: tuple, cores: set[int], threads: int, count: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.count = count
        self._ends = []
        self._processes = []
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, make, given, cores, threads))
            process.start()
            there.close()
            self._ends.append(here)
            self._processes.append(process)
        self._wait(self._ends)

    def do(self, method: str, count: int | None = None) -> float:
        """Wall seconds of a method that is called in the first ``count`` processes at once."""
        ends = self._ends[:count]
        start = time.perf_counter()
        for end in ends:
            end.send(method)
        self._wait(ends)
        return time.perf_counter() - start

    def close(self) -> None:
        """End the processes."""
        for end in self._ends:
            with suppress(BrokenPipeError):  # one that broke has ended already
                end.send(None)
        for process in self._processes:
            process.join()

    @staticmethod
    def _wait(ends: Sequence[Any]) -> None:
        for end in ends:
            end.recv()  # raises EOFError where the process broke


def measure_epochs(
    setting: Setting, folder: Path, archive: Path | None, cores: set[int]
) -> dict[str, Any]:
    """Seconds of an epoch on some cores, by side, one value a round.

    With n cores kdsearch trains n students at once. A side that trains several at once has its
    seconds divided by their number.
    """
    count, epochs = len(cores), setting.rounds + 1
    spec = setting.spec(folder, archive, f"epochs-{count}", epochs)
    material = Material.of(spec)
    ordinary = (material, {"lr": 0.05, "temperature": 4.0}, epochs)
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        sides = {
            "kdsearch": Side(CachedTrial, (spec,), cores, 1, count),
            f"ordinary, 1 process with {count} thread{'s' * (count > 1)}": Side(
                Ordinary, ordinary, cores, count, 1
            ),
        }
        if count == 1:
            alone = Side(Ordinary, (*ordinary, 0), cores, 1, 1)
            sides["ordinary, pictures read in the same process"] = alone
        else:
            sides[f"ordinary, {count} processes with 1 thread"] = Side(
                Ordinary, ordinary, cores, 1, count
            )
        for side in sides.values():
            stack.callback(side.close)
        for number in range(epochs):
            seconds = {"building": sides["kdsearch"].do("build", 1)}
            seconds |= {name: side.do("epoch") / side.count for name, side in sides.items()}
            for name, value in seconds.items() if number else ():
                found.setdefault(name, []).append(value)
    return found


def epochs_figures(setting: Setting, times: dict[str, list[float]], cores: int) -> dict[str, Any]:
    """The speedups that the seconds of :func:`measure_epochs` amount to."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    best = min((name for name in times if name.startswith("ordinary")), key=lambda n: middle[n])
    # the epochs of one trial are built once for all trials, by one process while the others train
    shares = [seconds / setting.trials / cores for seconds in times["building"]]
    with_building = [a + b for a, b in zip(times["kdsearch"], shares, strict=True)]
    return {
        "epochs_speedup": ratio(times[best], times["kdsearch"]),
        "epochs_speedup_with_building": ratio(times[best], with_building),
        "seconds_per_epoch": middle,
        "opponent": best,
    }


def by_kdsearch(spec: StudySpec, configs: Sequence[Config], cores: set[int]) -> None:
    """A search of kdsearch whose proposals are given, as points to evaluate are to Ray Tune."""
    os.sched_setaffinity(0, cores)
    run_search(spec, [_as_proposed(config) for config in configs])


def _ordinary_trial(config: Config, material: Material, epochs: int) -> None:
    training = Ordinary(material, config, epochs)
    for _ in range(epochs):
        tune.report({"accuracy": training.epoch()})


def by_ray_tune(
    material: Material, configs: Sequence[Config], epochs: int, folder: Path, cores: set[int]
) -> None:
    """The ordinary loop under Ray Tune, two trials at a time."""
    os.sched_setaffinity(0, cores)
    quieten()
    # the trial travels as it is: its actors import what it uses, and nothing of this file
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    trial = tune.with_parameters(_ordinary_trial, material=material, epochs=epochs)
    searcher = OptunaSearch(metric="accuracy", mode="max", points_to_evaluate=list(configs))
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"lr": tune.loguniform(*LR), "temperature": tune.uniform(*TEMPERATURE)},
        tune_config=tune.TuneConfig(
            search_alg=searcher, num_samples=len(configs), max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "ray_tune"), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors, results.errors[0]
    tried = sorted((result.config["lr"], result.config["temperature"]) for result in results)
    assert tried == sorted((config["lr"], config["temperature"]) for config in configs)
    ray.shutdown()


def one_after_another(
    material: Material, configs: Sequence[Config], epochs: int, cores: set[int]
) -> None:
    """The ordinary loop under Optuna in one process with a thread for each core."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    quieten()

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", *LR, log=True)
        temperature = trial.suggest_float("temperature", *TEMPERATURE)
        training = Ordinary(material, {"lr": lr, "temperature": temperature}, epochs)
        return [training.epoch() for _ in range(epochs)][-1]

    study = optuna.create_study(direction="maximize")
    for config in configs:
        study.enqueue_trial(config)
    study.optimize(objective, n_trials=len(configs))


def _seconds_of(work: Callable[..., None], *given: Any) -> float:
    """Wall clock of a process that does some work, from its start to its end."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=given)
    start = time.perf_counter()
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}; see above")
    return time.perf_counter() - start


def measure_searches(
    setting: Setting, folder: Path, archive: Path | None, cores: set[int]
) -> dict[str, Any]:
    """``search_speedup`` with the seconds of each side; after the first round only the faster of
    the ordinary ones goes on."""
    configs = setting.configs()
    times: dict[str, list[float]] = {}
    opponents = ["Ray Tune", "one after another"]
    for number in range(setting.searches):
        # a new folder each time, so that the cache is built each time
        place = folder / f"search-{number}"
        place.mkdir()
        spec = setting.spec(place, archive, "search", setting.epochs)
        material = Material.of(spec)
        times.setdefault("kdsearch", []).append(_seconds_of(by_kdsearch, spec, configs, cores))
        _check(spec, configs)
        for name in opponents:
            given: tuple = (material, configs, setting.epochs)
            seconds = (
                _seconds_of(by_ray_tune, *given, place, cores)
                if name == "Ray Tune"
                else _seconds_of(one_after_another, *given, cores)
            )
            times.setdefault(name, []).append(seconds)
        opponents = [min(opponents, key=lambda name: times[name][0])]
    figure = ratio(times[opponents[0]], times["kdsearch"])
    middle = {name: statistics.median(values) for name, values in times.items()}
    facts = {"trials": setting.trials, "epochs": setting.epochs, "pictures": setting.train}
    return figure | {"opponent": opponents[0], "seconds": middle, **facts}


def _check(spec: StudySpec, configs: Sequence[Config]) -> None:
    """kdsearch trained exactly the given configurations to their end."""
    records = Study.open(StudyDirectory.of(spec).path).records()
    assert [record.status for record in records] == ["complete"] * len(configs)
    tried = sorted(
        (r.task.training.lr, r.task.method.terms[0].hyperparameters["temperature"]) for r in records
    )
    assert tried == sorted((config["lr"], config["temperature"]) for config in configs)


def run(setting: Setting, archive: Path | None, console: Console) -> dict[str, Any]:
    """Measure everything."""
    found: dict[str, Any] = {
        "machine": machine(),
        "pictures": "noise" if archive is None else f"{archive.name}",
        "pictures_per_epoch": setting.train,
    }
    available = sorted(os.sched_getaffinity(0))
    for count in (1, 2)[: len(available)]:
        console.print(f"epochs on {count} core{'s' * (count > 1)} …", highlight=False)
        with tempfile.TemporaryDirectory(prefix="throughput") as folder:
            times = measure_epochs(setting, Path(folder), archive, set(available[:count]))
        for key, figure in epochs_figures(setting, times, count).items():
            found.setdefault(key, {})[str(count)] = figure
    console.print(f"searches of {setting.trials} trials …", highlight=False)
    with tempfile.TemporaryDirectory(prefix="throughput") as folder:
        found["search_speedup"] = measure_searches(
            setting, Path(folder), archive, set(available[:2])
        )
    return found


def table(found: dict[str, Any]) -> Table:
    """The speedups and the seconds that they come from."""
    shown_table = Table(box=None, header_style="bold")
    for column in ("", "kdsearch is faster by", "seconds"):
        shown_table.add_column(column)

    def seconds(of: dict[str, float]) -> Iterator[str]:
        return (f"{name} {value:.2f}" for name, value in of.items())

    for cores, figure in found["epochs_speedup"].items():
        building = found["epochs_speedup_with_building"][cores]
        each = "\n".join(seconds(found["seconds_per_epoch"][cores]))
        told = f"{shown(figure)}\nwith building {shown(building)}"
        title = f"an epoch of {found['pictures_per_epoch']}, {cores} core{'s' * (cores > '1')}"
        shown_table.add_row(title, told, each)
    search = found["search_speedup"]
    title = f"{search['trials']} trials of {search['epochs']} epochs"
    shown_table.add_row(title, shown(search), "\n".join(seconds(search["seconds"])))
    return shown_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures, rounds and trials")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--data", type=Path, help="zip of train/CLASS/* and test/CLASS/* pictures")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_file():
        parser.error(f"{options.data} is not there; give a zip of pictures, or leave --data out")
    start = time.perf_counter()
    found = run(QUICK if options.quick else Setting(), options.data, Console(file=sys.stderr))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    Console(width=110).print(table(found))
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
