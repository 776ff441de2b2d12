"""A finalist as shipped: weights as safetensors and a JSON that rebuilds the network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import Dataset, Scale
from kdsearch.data.modalities.catalogue import MODALITIES
from kdsearch.errors import DataError, RunError
from kdsearch.export.answers import Answers, answers_of
from kdsearch.files import checksum, taking_name_last, write_atomically
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import Input, Network, build_network
from kdsearch.models.libraries.hf_models import keep_configuration, with_kept_configuration
from kdsearch.models.weights import check_weights, load_weights
from kdsearch.problems import Head
from kdsearch.problems.head import side_by_side
from kdsearch.results.finalists import Finalist, Interval, trainings
from kdsearch.results.front_file import plain
from kdsearch.results.record import TrialRecord
from kdsearch.results.shipped import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    ShippedInput,
    ShippedTask,
    read_shipped,
)
from kdsearch.training.measured import MEASURED


class Student(SampleNetwork):
    """A distilled network that takes samples as they are and knows its tasks.

    Args:
        network: The trained network, in eval mode.
        facts: The content of ``student.json``.

    Attributes:
        heads: The tasks, with the names of their classes or labels.
        classes: Name of each class of the first task that predicts one.
        inputs: What it takes of a sample, by name, in the order of its arguments.
        facts: Method, sizes, scores and everything else that ``student.json`` holds.
    """

    def __init__(self, network: Network, facts: dict[str, Any]) -> None:
        told = (ShippedTask.model_validate(each).model_dump() for each in facts["tasks"])
        heads = side_by_side(Head(**each) for each in told)
        known = map(ShippedInput.model_validate, facts["inputs"])
        scales = {each.name: Scale(each.mean, each.std) for each in known}
        super().__init__(network, heads, network.inputs, scales)
        self.facts = facts
        named = (head.names for head in self.heads if head.kind == "class")
        self.classes: tuple[str, ...] = next(named, ())

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs of a batch of each input: images [B, C, H, W], numbers [B, D].

        Of one class or labels the logits [B, K]; of several tasks those of all side by side, as
        ``heads`` says. A value [B, 1] is in its own unit.

        Args:
            inputs: In the order of :attr:`inputs`; images as uint8 in 0 to 255 or floats in
                [0, 1], numbers as they are: nothing normalised.

        Raises:
            DataError: An input is of another shape or type.
        """
        self._check(inputs)
        return super().forward(*inputs)

    def _check(self, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs) != len(self.inputs):
            told = ", ".join(f"{name} ({each.short})" for name, each in self.inputs.items())
            raise DataError(f"the student takes {told}, in this order; {len(inputs)} were given")
        for (name, each), values in zip(self.inputs.items(), inputs, strict=True):
            MODALITIES[each.kind].check_batch(values, each.shape, name)
        # one by one: what hashes or counts a length fixes it when the student is exported
        if any(values.shape[0] != inputs[0].shape[0] for values in inputs[1:]):
            raise DataError("the inputs are of several numbers of samples; give each sample all")

    def predict(self, *inputs: Tensor) -> Answers | dict[str, Answers]:
        """What each sample is: the likeliest class, the likely labels, or the value.

        Of several tasks the answers of each, by its name.

        Args:
            inputs: As :meth:`forward` takes them.

        Raises:
            DataError: An input is of another shape, type or range.
        """
        self._check(inputs)
        for (name, each), values in zip(self.inputs.items(), inputs, strict=True):
            MODALITIES[each.kind].check_range(values, name)
        answers: dict[str, Answers] = {head.name: [] for head in self.heads}
        if len(inputs[0]):
            with torch.no_grad():
                outputs = self(*inputs)
            answers = {head.name: answers_of(head, head.of(outputs)) for head in self.heads}
        return answers if len(self.heads) > 1 else answers[self.heads[0].name]


def save_student(finalist: Finalist, data: Dataset, weights: Path, folder: Path) -> Path:
    """Write a finalist's shipped training as ``student.safetensors`` and ``student.json``.

    Args:
        finalist: The finalist; its ``shipped`` training must not be ``None``.
        data: The data set, for the class names and the normalisation.
        weights: The safetensors file of the shipped training.
        folder: Where to write; made if absent.

    Raises:
        RunError: The weights are gone, or not those that were trained.
    """
    run = finalist.shipped
    assert run is not None
    refuse_lost(run, weights)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / WEIGHTS
    with taking_name_last(target) as partial:
        shutil.copyfile(weights, partial)
    model = run.task.model
    keep_configuration(model.family, folder)
    gain, names = finalist.gain, data.problem.names
    facts = {
        "format": FORMAT,
        "model": model.model_copy(update={"weights": None}).model_dump(mode="json"),
        "inputs": [
            ShippedInput(
                name=name, kind=each.kind, shape=each.shape, **vars(data.scales[name])
            ).model_dump(mode="json")
            for name, each in data.inputs.items()
        ],
        "tasks": [
            ShippedTask.model_validate(vars(head)).model_dump() for head in data.problem.heads
        ],
        "sha256": checksum(target),
        "trial": finalist.trial.number,
        "method": run.task.method.model_dump(mode="json"),
        "taught_by": run.task.teacher,
        "training": run.task.training.model_dump(mode="json"),
        "seed": run.task.seed,
        "parameters": run.parameter_count,
        "macs": run.macs,
        "bytes": run.bytes,
        "stored": model.stored,
        **({"began_with": model.weights.model_dump()} if model.weights else {}),
        **{name: run.epochs[-1][name] for name in MEASURED if name in run.epochs[-1]},
        "validation_scores": {name: run.scores[name] for name in names if name in run.scores},
        "test_scores": run.test,
        "test_scores_over_seeds": {
            name: told for name in run.test or () if (told := _over_seeds(finalist.test(name)))
        },
        "gain_over_undistilled": {
            "objective": finalist.objectives.score,
            "mean": plain(gain.mean),
            "ci95": plain(gain.half_width),
            "trainings": trainings(run.task),
        },
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }
    path = folder / DESCRIPTION
    write_atomically(path, json.dumps(facts, indent=1).encode())
    return path


def refuse_lost(run: TrialRecord, weights: Path) -> None:
    """Refuse weights that are not those of a finalist's training.

    Raises:
        RunError: They are gone, or others.
    """
    fault = check_weights(weights)
    if fault is not None:
        raise RunError(
            f"the weights of finalist training {run.number} are lost, since {fault}; remove the "
            f'lines with "number":{run.number} from the study\'s finalists.jsonl, and --resume '
            "trains it again"
        )


def _over_seeds(score: Interval) -> dict[str, Any]:
    """A test score over seeds; nothing where none has it."""
    if not score.count:
        return {}
    return {"mean": score.mean, "ci95": plain(score.half_width), "seeds": score.count}


def load_student(path: str | Path) -> Student:
    """Rebuild a student from its folder, or from the ``student.json`` in it.

    The two files hold no code. That of a network of your own, ``module:function``, is imported by
    its name, from the current directory or the installed packages.

    Example:
        >>> student = load_student("studies/digits/students/trial-0012")  # doctest: +SKIP
        >>> student.predict(images)  # uint8 [B, 1, 8, 8]  # doctest: +SKIP

    Raises:
        CheckpointError: The files are missing, corrupt, or do not belong together.
        ModelError: The student is of a family that is not installed here.
    """
    shipped = read_shipped(Path(path))
    told = shipped.told
    outputs = sum(len(task.names) for task in told.tasks)
    inputs = {each.name: Input(each.kind, each.shape, each.mean, each.std) for each in told.inputs}
    model = with_kept_configuration(told.model, shipped.weights.parent)
    network = build_network(model, inputs, outputs)
    load_weights(network, shipped.weights, "the student")
    return Student(network.eval(), shipped.facts).eval()
