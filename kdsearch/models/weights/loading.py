"""Weights from files of any usual form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kdsearch.models.network import Network
from kdsearch.models.parts import head_names, is_within
from kdsearch.models.weights.fit import Misfits, check_fit, wrapper_of
from kdsearch.models.weights.forms import read_state, renamed
from kdsearch.models.weights.packed import unpack_state
from kdsearch.models.weights.saving import tensors_of

Head = Literal["whole", "fitting", "other"]
"""Which head a network takes of given weights."""

_AUXILIARY = ("model.aux1.", "model.aux2.", "model.AuxLogits.")
"""torchvision's classifiers for training alone, which kdsearch leaves out."""


def load_weights(network: Network, path: Path, what: str) -> None:
    """Load weights from a file of :func:`save_weights`, a state dict, or a training's checkpoint.

    Taken are the network's own names, with or without kdsearch's wrapper, and behind the prefixes
    of other wrappers; any precision; weights beside other plain values, and their average where it
    is alone. State that is no tensor stays as the network has it.

    Args:
        network: The network that takes the weights.
        path: The file.
        what: What the weights are for, in the words of the error ("the teacher").

    Raises:
        CheckpointError: The file is missing, is no file of weights, or fits another architecture.
    """
    fit_weights(network, unpack_state(network, read_state(path, what)), str(path), what)


def fit_weights(
    network: Network, state: dict[str, Tensor], origin: str, what: str, head: Head = "whole"
) -> list[str]:
    """Give a network tensors by the names of any usual form.

    Args:
        network: The network that takes them.
        state: The tensors.
        origin: Where they are from, in the words of the error.
        what: What they are for, in the words of the error.
        head: Whether the whole of it is taken (``whole``), or what fits: one of another number of
            classes, or that is missing, is replaced by a fresh one (``fitting``), or any is, since
            it is of other classes (``other``). That of a network without a head is zero.

    A fresh head that is one layer begins at zero (Kolesnikov et al. 2020, Big Transfer): the loss
    begins at the logarithm of the number of classes, and what is pretrained is not upset by the
    gradients of random logits. Some libraries initialise heads for a training from scratch, by
    which these are large.

    Returns:
        What was not taken, in sentences.

    Raises:
        CheckpointError: They fit another architecture.
    """
    own = tensors_of(network)
    state = renamed(state, own, wrapper_of(network))
    if network.family.startswith(("torchvision/googlenet", "torchvision/inception")):
        state = {k: v for k, v in state.items() if not k.startswith(_AUXILIARY) or k in own}
    # PyTorch before 0.4 did not count batches
    state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | state
    state |= _no_head(network, own)
    misfits = Misfits.of(network, own, state)
    told = []
    if left := _left_out(network, misfits, own, head):
        told.append(_replaced(network, misfits, origin))
        state = {**state, **_fresh(network, own, left)}
        state = {name: state[name] for name in own}
        misfits = Misfits.of(network, own, state)
    check_fit(network, misfits, own, origin, what)
    whole = network.state_dict()  # with the versions of its modules, which some of them need
    whole.update(state)
    network.load_state_dict(whole)
    return told


def _no_head(network: Network, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Zeros for the head that a network without one is built with, so that it is always the same
    network; nothing for others."""
    other = network.other_classes
    if other is None or not other.headless:
        return {}
    heads = head_names(network)
    return {k: torch.zeros_like(v) for k, v in own.items() if is_within(k, heads)}


def _fresh(network: Network, own: dict[str, Tensor], left: set[str]) -> dict[str, Tensor]:
    """What a head begins with in place of the tensors that are not taken."""
    heads = head_names(network)
    one_layer = len(heads) == 1 and not list(network.get_submodule(heads[0]).children())
    return {name: torch.zeros_like(own[name]) if one_layer else own[name] for name in left}


def _left_out(network: Network, misfits: Misfits, own: dict[str, Tensor], head: Head) -> set[str]:
    """The tensors of the head that are not taken."""
    if head == "whole" or not misfits.of_head(network, own):
        return set()
    if head == "other":
        return {name for name in own if is_within(name, head_names(network))}
    return {*misfits.missing, *misfits.other}


def _replaced(network: Network, misfits: Misfits, origin: str) -> str:
    if not misfits:
        return f"the head of {origin} is of other classes: a fresh one is trained in its place"
    if not misfits.other:
        return f"{origin} has no head ({misfits.named(misfits.missing[0])}); a fresh one is trained"
    name, (found, _) = next(iter(misfits.other.items()))
    return (
        f"the head of {origin} has {found[0]} outputs ({misfits.named(name)}), not "
        f"{network.classes}: a fresh one is trained in its place"
    )
