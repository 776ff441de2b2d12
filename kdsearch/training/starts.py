"""Weights that a network begins with: those of a file or of its teacher, cut to its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor

from kdsearch.compression import Samples, check_cut, cut, cut_to_depth
from kdsearch.compression.importance import NEED_SAMPLES, Batches
from kdsearch.data import Dataset, Views
from kdsearch.errors import CheckpointError, ModelError
from kdsearch.methods.targets import Targets
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.models import Network, build_network
from kdsearch.models.libraries.catalogue import with_own_view
from kdsearch.models.weights import tensors_of
from kdsearch.models.weights.sources import read_initial
from kdsearch.problems.head import answers_sum
from kdsearch.spec.concrete import EarlierStudent, ModelConfig

SAMPLES = 256
"""Training samples on which activations and gradients are measured, spread evenly over those of
the split."""
_BATCH = 64
_BEGINNING = "the network that begins with it"


def load_start(network: Network, model: ModelConfig, data: Dataset) -> None:
    """Give a network the weights that its configuration begins with, if any, cut to its size.

    Weights that fit are loaded as they are. Else a network is cut from the wider one that they are
    of: of a student of an earlier study that one, of others the one of width 1, where the network
    is narrower or has ``round_to``.

    Args:
        network: The network, on the CPU.
        model: What it was built from.
        data: Its training samples tell the importances ``activation`` and ``taylor``.

    Raises:
        CheckpointError: The weights cannot be had, or fit neither network.
        ModelError: The network cannot be cut, or not by its importance.
    """
    wider, _ = _loaded(network, model, data)
    if wider is not None:
        cut(wider, network, model.importance, _batches(wider, model, data))


def check_start(model: ModelConfig, data: Dataset, what: str) -> list[str]:
    """Refuse weights that a network cannot begin with.

    Args:
        model: The network.
        data: The data set.
        what: What the weights are for, in the words of the error.

    Returns:
        What is not taken of them, in sentences.

    Raises:
        KdsearchError: As :func:`load_start`.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_network(model, data.inputs, data.outputs)
        wider, told = _loaded(network, model, data, what)
    if wider is not None:
        check_cut(wider, network, model.importance)
    return told


def _loaded(
    network: Network,
    model: ModelConfig,
    data: Dataset,
    what: str = "the network that begins with it",
) -> tuple[Network | None, list[str]]:
    """The network of width 1 with the weights, ``None`` where they fit as they are; and what is
    not taken of them."""
    found = read_initial(model, what)
    if found is None:
        return None, []
    earlier = model.earlier
    other = earlier is not None and _other_answers(earlier, data)
    whole = _of_weights(model, earlier)
    try:
        return None, found.fit(network, what, other)
    except CheckpointError:
        if model.width >= whole.width and model.round_to == whole.round_to:
            raise
    wider = build_network(whole, data.inputs, network.classes)
    of = f"the student at width {whole.width:g}, from which it is cut"
    told = found.fit(wider, of, other)
    if told and model.importance == "taylor":
        raise ModelError(
            f"{what} cannot be cut by importance taylor, whose gradients need a trained head: "
            f"{told[0]}; choose magnitude, bn_scale or activation"
        )
    return wider, told


def _other_answers(earlier: EarlierStudent, data: Dataset) -> bool:
    """Whether the outputs of an earlier study's student say something else than the data's."""
    if earlier.answers != answers_sum(data.problem.heads):
        return True
    if earlier.data is None or earlier.data[0] == data.name:
        return False
    return earlier.data[1] != data.fingerprint


def _of_weights(model: ModelConfig, earlier: EarlierStudent | None) -> ModelConfig:
    """The network that a model's weights are of, if not the model itself."""
    width, round_to = (1.0, None) if earlier is None else (earlier.width, earlier.round_to)
    return with_own_view(model).model_copy(update={"width": width, "round_to": round_to})


def cut_start(network: Network, teacher: Network, model: ModelConfig, data: Dataset) -> None:
    """Give a network the most important channels of its teacher, of some of its layers.

    Args:
        network: The student, on the CPU.
        teacher: Its trained teacher, or another student, of the same family; it is left as it is.
        model: What the student was built from.
        data: Its training samples tell the importances ``activation`` and ``taylor``.

    Raises:
        ModelError: The student cannot be cut from the teacher.
    """
    wider = _as_deep(network, deepcopy(teacher).cpu(), model)
    cut(wider, network, model.importance, _batches(wider, model, data))


def check_cut_start(model: ModelConfig, teacher: ModelConfig, data: Dataset) -> None:
    """Refuse a student that cannot be cut from its teacher.

    Args:
        model: The student.
        teacher: Its teacher, with as many outputs.
        data: The data set.

    Raises:
        ModelError: The student cannot be cut from the teacher.
    """
    # both at the student's size, so that they compute the same
    alike = {"weights": None, "image_size": model.image_size, "normalise": model.normalise}
    with torch.random.fork_rng(devices=[]):
        network = build_network(model, data.inputs, data.outputs)
        source = build_network(teacher.model_copy(update=alike), data.inputs, data.outputs)
        check_cut(_as_deep(network, source, model), network, model.importance)


def _as_deep(network: Network, teacher: Network, model: ModelConfig) -> Network:
    """The teacher, or one of the student's depth with some of the teacher's layers."""
    if (list(network.inputs), network.classes) != (list(teacher.inputs), teacher.classes):
        raise ModelError(
            f"{network.family} cannot be cut from its teacher: their inputs or outputs differ"
        )
    if tensors_of(network).keys() == tensors_of(teacher).keys():
        return teacher
    assert teacher.config is not None, "teachers are built from a configuration"
    knobs = {"width": teacher.config.width, "round_to": teacher.config.round_to}
    between = build_network(model.model_copy(update=knobs), network.inputs, network.classes)
    cut_to_depth(teacher, between)
    return between


def _batches(network: Network, model: ModelConfig, data: Dataset) -> Batches:
    """The training samples on which a wider network is measured, as it takes them."""
    if model.importance not in NEED_SAMPLES:
        return ()
    places = torch.arange(len(data.train))
    if model.importance == "taylor":
        places = data.problem.known(data.train.targets).cpu().nonzero().flatten()
    count = min(len(places), SAMPLES)
    some = data.train.read(places[torch.linspace(0, len(places) - 1, count).long()]).to("cpu")
    views = Views(some, data.scales, None, 0, network.inputs)
    losses = [TaskLoss(head) for head in data.problem.heads]
    batches = [views.batch(part, epoch=0) for part in torch.arange(count).split(_BATCH)]
    return [Samples(batch.inputs, partial(_loss, losses, batch.targets)) for batch in batches]


def _loss(losses: Sequence[TaskLoss], targets: Mapping[str, Targets], outputs: Tensor) -> Tensor:
    each = [loss(outputs, targets[loss.head.name]) for loss in losses]
    return torch.stack(each).sum()
