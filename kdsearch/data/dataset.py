"""A data set: three splits of inputs and targets by name, with what normalises and names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.column import Column, parts, row_bytes, rows_at, taken
from kdsearch.data.images.mapped import MappedImages
from kdsearch.data.modalities.catalogue import modality_of
from kdsearch.data.modalities.modality import Scale
from kdsearch.data.sources.inventory import Inventory
from kdsearch.errors import DataError
from kdsearch.models.inputs import IMAGE, Input
from kdsearch.problems import CLASSIFICATION, Head, Problem
from kdsearch.problems.head import MISSING_CLASS, UNNAMED, called
from kdsearch.problems.part import part_of


@dataclass(frozen=True)
class Split:
    """Samples: their inputs and targets.

    Attributes:
        inputs: Those of each sample by name: uint8 images [N, C, H, W], in memory or mapped from
            a file, or float64 numbers [N, D].
        targets: Those of each task by its name, as :class:`~kdsearch.problems.Head` has them: [N]
            int64 class indices, float32 [N, K] labels, or float32 [N] values.
        weights: [N] float32 weights of the samples in the losses by the targets in a training, at
            least 0, or ``None`` where all count alike; evaluations pass them over.
        domain: [N] bool: which samples are of the target domain, the others of the source's, or
            ``None`` where all are of one domain.
    """

    inputs: Mapping[str, Column]
    targets: Mapping[str, Tensor]
    weights: Tensor | None = None
    domain: Tensor | None = None

    @classmethod
    def of_classes(cls, images: Column, labels: Tensor, weights: Tensor | None = None) -> Split:
        """Images [N, C, H, W] with one class each: int64 class indices [N]."""
        return cls({IMAGE: images}, {UNNAMED: labels}, weights)

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))

    @property
    def images(self) -> Column:
        """The first images among the inputs."""
        return next(each for each in self.inputs.values() if each.dtype == torch.uint8)

    @property
    def labels(self) -> Tensor:
        """The first target: of one class a sample, its class indices [N]."""
        return next(iter(self.targets.values()))

    @property
    def device(self) -> torch.device:
        """Where the targets are, and the inputs that are in memory."""
        return self.labels.device

    @property
    def mapped(self) -> bool:
        """Whether some inputs stay in a file."""
        return any(isinstance(each, MappedImages) for each in self.inputs.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all inputs."""
        return sum(row_bytes(each) * len(each) for each in self.inputs.values())

    def take(self, index: Tensor) -> Split:
        """The samples at ``index`` [M]; mapped images stay where they are."""
        inputs = {name: taken(each, index) for name, each in self.inputs.items()}
        return self._of(inputs, index)

    def read(self, index: Tensor) -> Split:
        """The samples at ``index`` [M], in memory."""
        inputs = {name: rows_at(each, index) for name, each in self.inputs.items()}
        return self._of(inputs, index)

    def targets_at(self, index: Tensor) -> Split:
        """The samples at ``index`` [M] without their inputs: what is known beside them."""
        return self._of({}, index.to(self.device))

    def without_inputs(self) -> Split:
        """What is known of the samples beside their inputs: targets, weights and domain."""
        return replace(self, inputs={})

    def _of(self, inputs: Mapping[str, Column], index: Tensor) -> Split:
        weights = None if self.weights is None else self.weights[index]
        domain = None if self.domain is None else self.domain[index]
        targets = {name: each[index] for name, each in self.targets.items()}
        return Split(inputs, targets, weights, domain)

    def to(self, device: torch.device | str) -> Split:
        """The split on another device, to which mapped images go when they are read."""
        weights = None if self.weights is None else self.weights.to(device)
        domain = None if self.domain is None else self.domain.to(device)
        targets = {name: each.to(device) for name, each in self.targets.items()}
        inputs = {name: each.to(device) for name, each in self.inputs.items()}
        return Split(inputs, targets, weights, domain)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits of one data set.

    Attributes:
        name: What the spec calls the source.
        train: What students and teacher learn from.
        validation: What the search sees.
        test: What finalists are scored on, once.
        scales: What each input is normalised by: mean and deviation of the training split.
        inventory: The files that it was read from, of sources that name them.
        problem: What is predicted, with the names of the classes, and by what it is judged.
        source_test: Of a study with a target domain the test split of the source domain; the
            training split then holds both domains, validation and test are of the target's.
        target_inventory: The files that the target domain was read from, likewise.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    scales: Mapping[str, Scale]
    inventory: Inventory | None = None
    problem: Problem = CLASSIFICATION
    source_test: Split | None = None
    target_inventory: Inventory | None = None

    @property
    def inventories(self) -> tuple[Inventory, ...]:
        """The files of each domain that comes from a source that names them."""
        both = (self.inventory, self.target_inventory)
        return tuple(each for each in both if each is not None)

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that there are, by the names of the fields."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return named if self.source_test is None else {**named, "source_test": self.source_test}

    @property
    def inputs(self) -> dict[str, Input]:
        """What a network may take of a sample, by name."""
        found = {}
        for name, column in self.train.inputs.items():
            scale = self.scales[name]
            found[name] = replace(
                modality_of(column).network_input(column), mean=scale.mean, std=scale.std
            )
        return found

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input of a sample, by name."""
        return {name: each.shape for name, each in self.inputs.items()}

    @property
    def told_inputs(self) -> str:
        """The inputs of a sample in a line: "1×28×28", or "image 3×32×32, blood 5 numbers"."""
        inputs = self.inputs
        if len(inputs) == 1:
            return next(iter(inputs.values())).short
        return ", ".join(f"{name} {each.short}" for name, each in inputs.items())

    def of_tasks(self, names: Collection[str]) -> Dataset:
        """The same as one sees it that knows some of the tasks alone.

        Args:
            names: These tasks; none stand for all.
        """
        if not names:
            return self
        problem = part_of(self.problem, names)
        known: dict[str, Any] = {
            name: _with_targets(split, problem.heads) for name, split in self.splits.items()
        }
        return replace(self, **known, problem=problem)

    @property
    def outputs(self) -> int:
        """Columns of a network's output: of one class a sample, the number of classes."""
        return self.problem.outputs

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the first task that predicts one; empty where none does."""
        return next((head.names for head in self.problem.class_heads), ())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every byte of the splits, weights and domains among them, and the tasks."""
        heads = self.problem.heads
        tasks: object = [[head.name, head.kind, head.names] for head in heads]
        if [(head.name, head.kind) for head in heads] == [(UNNAMED, "class")]:
            tasks = heads[0].names
        digest = hashlib.sha256(json.dumps([self.name, tasks]).encode())
        for split in self.splits.values():
            for name, column in split.inputs.items():
                of = "" if list(split.inputs) == [IMAGE] else name
                digest.update(f"{of}{tuple(column.shape)!r}".encode())
                for part in parts(column):
                    digest.update(np.ascontiguousarray(part.numpy()).data)
            for targets in split.targets.values():
                digest.update(np.ascontiguousarray(targets.numpy()).data)
            if split.weights is not None:
                digest.update(b"weights")
                digest.update(np.ascontiguousarray(split.weights.numpy()).data)
            if split.domain is not None:
                digest.update(b"domain")
                digest.update(np.ascontiguousarray(split.domain.numpy()).data)
        return digest.hexdigest()


def _with_targets(split: Split, heads: tuple[Head, ...]) -> Split:
    """A split with the targets of some tasks alone."""
    return replace(split, targets={head.name: split.targets[head.name] for head in heads})


def scales_of(train: Split) -> dict[str, Scale]:
    """What each input of a training split is normalised by."""
    return {name: modality_of(each).scale(each) for name, each in train.inputs.items()}


def check_split(
    split: Split, heads: tuple[Head, ...], where: str, unlabelled: bool = False
) -> None:
    """Refuse a split that cannot be trained on.

    Args:
        split: The samples.
        heads: The tasks.
        where: Which data they are of.
        unlabelled: Whether no sample needs a target.

    Raises:
        DataError: No samples, inputs of another kind or number, targets of another number or
            outside what they may be, or a task without any.
    """
    samples = len(next(iter(split.inputs.values())))
    for name, column in split.inputs.items():
        if (column.dtype, column.ndim) not in ((torch.uint8, 4), (torch.float64, 2)):
            raise DataError(
                f"{where}: '{name}' must be images, uint8 [N, C, H, W], or numbers, float64 "
                f"[N, D], not {column.dtype} {list(column.shape)}"
            )
        if len(column) != samples:
            raise DataError(
                f"{where}: {samples} samples of the first input and {len(column)} of '{name}'; "
                "give each sample both"
            )
    for head in heads:
        _check_targets(head, split.targets[head.name], samples, where, unlabelled)


def _check_targets(head: Head, targets: Tensor, samples: int, where: str, unlabelled: bool) -> None:
    if len(targets) != samples or not samples:
        raise DataError(
            f"{where}: {samples} samples and {len(targets)} {called(head.name)}; "
            "give one label a sample, and at least one sample"
        )
    if not unlabelled and not bool(head.known(targets).any()):
        raise DataError(
            f"{where}: no sample has a target of '{head.name}'; give some of them one, or another "
            "data.seed"
        )
    if head.kind == "class":
        low, high = int(targets.min()), int(targets.max())
        if low < MISSING_CLASS or high >= head.size:
            told = f"labels run from {low} to {high}, outside 0 to {head.size - 1}"
            raise DataError(f"{where}: {told}")
    elif head.kind == "labels" and targets.shape[1] != head.size:
        told = f"{targets.shape[1]} columns of '{head.name}', and {head.size} labels"
        raise DataError(f"{where}: {told}; give a column a label")


def check_labelled(split: Split, problem: Problem, where: str) -> None:
    """Refuse a split in which a sample has no target at all, as only training samples may.

    Raises:
        DataError: There is such a sample.
    """
    without = (~problem.known(split.targets)).nonzero().flatten()
    if len(without):
        have = "sample has" if len(without) == 1 else "samples have"
        raise DataError(
            f"{where}: {len(without)} {have} no target, the first at place {int(without[0])}, and "
            "no metric can judge by it; put such samples into the training data, or leave them out"
        )
