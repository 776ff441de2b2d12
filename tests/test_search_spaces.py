"""Every shipped search space: its head, and that all of its students and methods can be built."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kdsearch.methods import needs_teacher
from kdsearch.results.cost import TrialCost
from kdsearch.results.front import spread
from kdsearch.results.judging import Judging, affordable, planned_trainings
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import rung_epochs
from kdsearch.search.halving import expected_epochs
from kdsearch.space.checks import make_plan
from kdsearch.space.space import Space
from kdsearch.spec import MethodConfig, ModelConfig, StudySpec, load_spec
from kdsearch.spec.ranges import is_searched
from tests.records import TASK, trial

FOLDER = Path(__file__).parents[1] / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))
SHAPES = {
    "fashion_mnist": ((28, 28), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "image_folder": ((64, 64, 3), 5),
}
LARGER_SHARES = {"digits": 1.0, "digits_few_labels": 1.0, "digits_multitask": 1.0}
"""Of the search, for finalists and their baselines: two baselines are tuned, on more seeds."""


def images(shape: list[int], classes: int) -> tuple[np.ndarray, ...]:
    """Noise in the shape of a data set that is not at hand: enough to plan a study."""
    generator = np.random.default_rng(0)
    count = max(4 * classes, 300)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = np.arange(count) % classes
    return images, labels, images[: 2 * classes], labels[: 2 * classes]


def overrides(name: str) -> list[str]:
    """Noise in place of the files, where the space reads files."""
    if name not in SHAPES:
        return []
    shape, classes = SHAPES[name]
    source = f"{__name__}:images"
    options = f"{{shape: {list(shape)}, classes: {classes}}}"
    return [
        f"data.source={source}",
        f"data.options={options}",
        "data.root=null",
        "data.image_size=null",
        "data.validation=0.4",
    ]


def test_the_shipped_spaces_are_these() -> None:
    assert {path.stem for path in FILES} == {
        "digits",
        "digits_few_labels",
        "digits_multitask",
        "digits_ways",
        *SHAPES,
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_space_opens_with_what_it_searches_its_time_and_its_command(path: Path) -> None:
    head = path.read_text().split("\n\n")[0]
    assert head.startswith("# Searches: ")
    assert "# Expected wall time: " in head
    words = shlex.split(re.search(r"^# Command: (.*)$", head, re.MULTILINE)[1])
    assert words[:3] == ["kdsearch", "run", f"search_spaces/{path.name}"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_student_and_method_of_a_space_can_be_built(path: Path) -> None:
    spec = load_spec(path)
    plan = make_plan(load_spec(path, overrides(path.stem)))
    assert plan.teacher_sizes["teacher"].parameters > 0
    assert len(plan.space.methods) == len(spec.methods)


def made_search(spec: StudySpec, liked: float) -> list[TrialRecord]:
    """Trials of every length that the scheduler allows, a share of them with one method."""
    epochs, methods = spec.training.epochs, list(spec.methods)
    taught = next(label for label in methods if needs_teacher(label))
    rungs = rung_epochs(epochs, spec.search.scheduler.rungs)
    first, second = rungs if spec.search.scheduler.name == "halving" else (epochs, epochs)
    records = []
    for number in range(spec.search.trials):
        label = taught if number < liked * spec.search.trials else methods[number % len(methods)]
        length = epochs if number % 9 == 0 else second if number % 3 == 0 else first
        made = trial(number, 0.5 + number / 1000, 1000 + number)
        model = ModelConfig(family="convnet", width=0.1 + number / 1000)
        training = TASK.training.model_copy(update={"epochs": epochs, "lr": 0.03 + number / 10_000})
        task = {"method": MethodConfig(label=label), "model": model, "training": training}
        update = {"task": TASK.model_copy(update=task), "epochs": made.epochs * length}
        records.append(made.model_copy(update=update))
    return records


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_finalists_and_baselines_cost_at_most_their_share_of_the_search(path: Path) -> None:
    """As planned, and where the sampler gave a third of all trials to the finalists' method."""
    spec = load_spec(path)
    share = spec.finalists.share
    assert share == LARGER_SHARES.get(path.stem, 0.5)
    planned = planned_trainings(spec, spec.search.trials)
    assert planned * spec.training.epochs <= expected_epochs(Space(spec)) * share
    for liked in (0.0, 1 / 3):
        records = made_search(spec, liked)
        whole = [r for r in records if len(r.epochs) == spec.training.epochs]
        front = [r for r in whole if needs_teacher(r.task.method.label)]
        cost = TrialCost(1_000, 200, 784)

        def choose(most: int, front: Sequence[TrialRecord] = front) -> list[TrialRecord]:
            return spread(front, most, "macs")

        chosen = affordable(spec, records, choose, share, cost)
        spent = sum(cost(record, len(record.epochs)) for record in records)
        assert 1 <= len(chosen) <= spec.finalists.max
        assert Judging(spec, chosen, records, {}).cost(cost) <= spent * share


def cifar100_pairs() -> list[list[str]]:
    """The overrides for other published pairs, as the file's head gives them."""
    pairs: list[list[str]] = []
    for line in (FOLDER / "cifar100.yaml").read_text().split("\n\n")[0].splitlines():
        text = line.lstrip("# ")
        if not re.search(r"→|^--set ", text) or "--set " not in text:
            continue
        if not text.startswith("--set"):
            pairs.append([])
            text = text[text.index("--set") :]
        pairs[-1] += [word for word in shlex.split(text) if word != "--set"]
    return pairs


def test_the_pairs_in_the_head_of_cifar100_can_be_built() -> None:
    pairs = cifar100_pairs()
    assert len(pairs) == 4
    for pair in pairs:
        spec = load_spec(FOLDER / "cifar100.yaml", [*overrides("cifar100"), *pair])
        assert make_plan(spec).teacher_sizes["teacher"].parameters > 500_000
        assert not any(is_searched(student.width) for student in spec.students)


def test_the_weights_of_the_published_pairs_are_the_papers() -> None:
    found = []
    for pair in cifar100_pairs():
        methods = load_spec(FOLDER / "cifar100.yaml", pair).methods
        found.append((methods["dkd"].get("beta"), methods["reviewkd"].get("weight")))
    assert found == [(8, 5), (2, 0.6), (6, 5), (6, None)]


def test_cifar100_has_the_recipe_of_the_published_table() -> None:
    spec = load_spec(FOLDER / "cifar100.yaml")
    for training in (spec.teacher.training, spec.training):
        assert (training.optimizer, training.momentum, training.nesterov) == ("sgd", 0.9, False)
        assert (training.epochs, training.batch_size, training.weight_decay) == (240, 64, 5e-4)
        assert [round(mark * 240) for mark in training.milestones] == [150, 180, 210]
        assert (training.lr, training.gamma, training.precision) == (0.05, 0.1, "float32")
    assert spec.search.trials >= len(spec.methods) == 31
