"""What a source returns, and how it becomes splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_array
from kdsearch.data.column import Column
from kdsearch.data.dataset import Split
from kdsearch.data.images.mapped import MappedImages
from kdsearch.data.modalities.catalogue import MODALITIES, given_modality
from kdsearch.data.sources.inventory import Inventory
from kdsearch.data.sources.targets import (
    Names,
    Targets,
    chosen_heads,
    named,
    read_target,
    target_of,
)
from kdsearch.errors import DataError
from kdsearch.models.inputs import IMAGE
from kdsearch.problems import Head, Problem
from kdsearch.problems.head import UNNAMED
from kdsearch.spec.names import suggest

Array = Tensor | np.ndarray | MappedImages
"""Images, uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], mapped ones [N, C, H, W]; or, of several
inputs, also numbers [N] or [N, D]."""

Images = Array | Mapping[str, Array]
"""The images, or several inputs by name."""

Weights = Tensor | np.ndarray | Sequence[float]
"""[N] finite numbers of at least 0, some above it."""


@dataclass(frozen=True)
class RawData:
    """Inputs and targets as a source has them.

    Attributes:
        train_images: uint8 [N, H, W], [N, H, W, C] or [N, C, H, W]; the channel axis is the one
            that is shorter than both sides of the image. Or several inputs by name: such images,
            and numbers [N] or [N, D], which are standardised.
        train_labels: [N] class indices from 0, -1 for a missing one, or several targets by name:
            such indices, labels [N, K] of 0 and 1, or numbers, NaN where missing. The spec's
            ``problem.tasks`` says which are learnt; without it the first is, as a class. A training
            sample may lack every target, a validation or test sample not.
        test_images: Likewise, or ``None`` to have the test drawn from the training data.
        test_labels: Their labels, or ``None``.
        classes: Name of each class, or of each target's classes or labels by the target's name;
            ``None`` takes the indices as names.
        validation_images: Likewise, or ``None`` to have the validation drawn from the training
            data.
        validation_labels: Their labels, or ``None``.
        inventory: The files that they were read from, if they are a folder's or a table's.
        train_weights: [N] weights of the training samples in the cross-entropy, or ``None`` where
            all count alike; what is drawn from them for validation and test has none.
        unlabelled_images: More training inputs, like the others, of samples without any target;
            ``None`` for none.
    """

    train_images: Images
    train_labels: Targets
    test_images: Images | None = None
    test_labels: Targets | None = None
    classes: Names | None = None
    validation_images: Images | None = None
    validation_labels: Targets | None = None
    inventory: Inventory | None = None
    train_weights: Weights | None = None
    unlabelled_images: Images | None = None


def as_raw(value: Any, where: str) -> RawData:
    """What a user's own source returned, as :class:`RawData`.

    Args:
        value: A RawData, a mapping with its field names, or a tuple: (images, labels),
            (train_images, train_labels, test_images, test_labels), or pairs of images and labels,
            (train, test) or (train, validation, test).
        where: What messages call the source.

    Raises:
        DataError: It is nothing of these.
    """
    if isinstance(value, RawData):
        return value
    if isinstance(value, Mapping):
        return _from_mapping(value, where)
    if isinstance(value, tuple | list):
        if len(value) in (2, 3) and all(_is_pair(each) for each in value):
            return _from_pairs(value)
        if len(value) in (2, 4):
            return RawData(*value)
    shown = type(value).__name__
    if isinstance(value, tuple | list):
        shown += f" of {len(value)}"
    raise DataError(
        f"{where} returned a {shown}; return (images, labels), ((images, labels) of the training, "
        "(images, labels) of the test) or a kdsearch.data.RawData"
    )


def _is_pair(value: Any) -> bool:
    """Whether it is (images, labels), of which either is an array of some kind."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and not any(isinstance(each, int | float) for each in value)
    )


def _from_pairs(pairs: Sequence[tuple[Any, Any]]) -> RawData:
    (train_images, train_labels), *middle, (test_images, test_labels) = pairs
    validation_images, validation_labels = middle[0] if middle else (None, None)
    return RawData(
        train_images,
        train_labels,
        test_images,
        test_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
    )


def _from_mapping(value: Mapping[str, Any], where: str) -> RawData:
    valid = [field.name for field in fields(RawData)]
    for name in value:
        if name not in valid:
            raise DataError(f"{where} returned the unknown key '{name}'; {suggest(name, valid)}")
    for name in ("train_images", "train_labels"):
        if name not in value:
            raise DataError(f"{where} returned no '{name}'; add it")
    return RawData(**value)


def training_data(
    raw: RawData, where: str, problem: Problem, beside: Sequence[Head] = ()
) -> tuple[Split, Problem]:
    """The training data with the targets of the tasks, and the problem with their names.

    Args:
        raw: As the source has them.
        where: The source.
        problem: The tasks.
        beside: Of a target domain the tasks with the names that the source domain has.

    Raises:
        DataError: No inputs, images that are not uint8, a layout that cannot be told, targets that
            are missing or of another kind, weights that are no numbers of at least 0, or names of
            classes that are too few or not distinct.
    """
    told = f"{where}'s training data"
    problem = problem.with_heads(chosen_heads(raw.train_labels, problem, where))
    raw, key = first_alone(raw, problem)
    train = _split(raw.train_images, raw.train_labels, problem, told, key)
    if raw.train_weights is not None:
        train = replace(train, weights=_weights(raw.train_weights, len(train), told))
    known = {head.name: head for head in beside}
    heads = [
        named(head, raw.classes, train.targets[head.name], where, known.get(head.name))
        for head in problem.heads
    ]
    return train, problem.with_heads(heads)


def first_alone(raw: RawData, problem: Problem) -> tuple[RawData, str]:
    """The data with their first target under the name of the one task, where none is named.

    Returns:
        The data, and what the source calls that target; nothing where tasks are named.

    Raises:
        DataError: Another split lacks it.
    """
    given, name = raw.train_labels, UNNAMED
    if not isinstance(given, Mapping) or [head.name for head in problem.heads] != [name]:
        return raw, ""
    key = name if name in given else next(iter(given))
    renamed: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        targets = getattr(raw, f"{split}_labels")
        if isinstance(targets, Mapping):
            told = f"the {split} data"
            renamed[f"{split}_labels"] = {name: target_of(targets, Head(key), told)}
    if isinstance(raw.classes, Mapping):
        renamed["classes"] = {name: raw.classes[key]} if key in raw.classes else None
    return replace(raw, **renamed), key


def own_split(
    raw: RawData, name: Literal["validation", "test"], train: Split, where: str, problem: Problem
) -> Split | None:
    """The test or validation data if there are any; ``train`` are those of the same source.

    Raises:
        DataError: As :func:`training_data`, or half a split.
    """
    raw, key = first_alone(raw, problem)
    images = getattr(raw, f"{name}_images")
    labels = getattr(raw, f"{name}_labels")
    if (images is None) != (labels is None):
        raise DataError(
            f"{where} has only one of {name}_images and {name}_labels; give both or none"
        )
    if images is None or labels is None:
        return None
    split = _split(images, labels, problem, f"{where}'s {name} data", key)
    return replace(split, inputs=like_training(split.inputs, train, name, where))


def like_training(
    inputs: Mapping[str, Column], train: Split, name: str, where: str
) -> dict[str, Column]:
    """The inputs of other data of a source in the order of the training data's.

    Args:
        inputs: By name, whatever their order.
        train: The training data.
        name: What the other data are: ``test``, ``validation`` or ``unlabelled``.
        where: The source.

    Raises:
        DataError: They have other names or shapes.
    """
    if set(inputs) != set(train.inputs):
        raise DataError(
            f"{where} has the training inputs {', '.join(train.inputs)} and the {name} inputs "
            f"{', '.join(inputs)}; make them alike"
        )
    for key, known in train.inputs.items():
        column = inputs[key]
        if column.shape[1:] != known.shape[1:]:
            images = column.ndim == 4
            what = "images" if images else f"numbers '{key}'"
            raise DataError(
                f"{where} has training {what} of {list(known.shape[1:])} and {name} {what} of "
                f"{list(column.shape[1:])}{' (C, H, W)' if images else ''}; make them alike"
            )
    return {key: inputs[key] for key in train.inputs}


def _split(images: Images, labels: Targets, problem: Problem, where: str, key: str) -> Split:
    inputs = read_inputs(images, where)
    targets = {
        head.name: read_target(target_of(labels, head, where), head, where, key)
        for head in problem.heads
    }
    if any(len(each) == 0 for each in inputs.values()):
        raise DataError(f"{where} holds no samples; give at least one")
    return Split(inputs, targets)


def read_inputs(given: Images, where: str) -> dict[str, Column]:
    """The inputs of some samples by name; images alone are called so.

    Raises:
        DataError: No inputs, one without a name, or one of no kind that there is.
    """
    if not isinstance(given, Mapping):
        return {IMAGE: MODALITIES["image"].read(given, IMAGE, where)}
    if not given:
        raise DataError(f"{where} has no inputs; give at least one")
    for name in given:
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where}: an input is called {name!r}; give each a name, as text")
    return {name: given_modality(each).read(each, name, where) for name, each in given.items()}


def _weights(weights: Weights, samples: int, where: str) -> Tensor:
    given = weights.cpu().numpy() if isinstance(weights, Tensor) else weights
    array = as_array(given, f"{where}: weights", "weight")
    if array.shape != (samples,) or array.dtype.kind not in "iuf":
        raise DataError(
            f"{where}: weights must be numbers [{samples}], one for each sample, not {array.dtype} "
            f"{list(array.shape)}; give them so"
        )
    with np.errstate(over="ignore"):
        found = torch.from_numpy(array.astype(np.float32))
    if not bool((found.isfinite() & (found >= 0)).all()):
        raise DataError(
            f"{where}: weights must be finite numbers of at least 0; correct the others"
        )
    return found
