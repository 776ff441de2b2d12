"""Weights from files of any usual form."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from kdsearch.models.network import Network
from kdsearch.models.parts import head_names, is_within
from kdsearch.models.weights.fit import Misfits, check_fit, wrapper_of
from kdsearch.models.weights.forms import read_state, renamed
from kdsearch.models.weights.saving import tensors_of

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
    fit_weights(network, read_state(path, what), str(path), what)


def fit_weights(
    network: Network, state: dict[str, Tensor], origin: str, what: str, fresh_head: bool = False
) -> list[str]:
    """Give a network tensors by the names of any usual form.

    Args:
        network: The network that takes them.
        state: The tensors.
        origin: Where they are from, in the words of the error.
        what: What they are for, in the words of the error.
        fresh_head: Whether a head of other classes, or one that is missing, stays as the network
            has it. That of a network without a head is zero.

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
    if fresh_head and misfits and misfits.of_head(network, own):
        told.append(_replaced(network, misfits, origin))
        left = {*misfits.missing, *misfits.other}
        state = {name: own[name] if name in left else state[name] for name in own}
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


def _replaced(network: Network, misfits: Misfits, origin: str) -> str:
    if not misfits.other:
        return f"{origin} has no head ({misfits.named(misfits.missing[0])}); a fresh one is trained"
    name, (found, _) = next(iter(misfits.other.items()))
    return (
        f"the head of {origin} has {found[0]} outputs ({misfits.named(name)}), not "
        f"{network.classes}: a fresh one is trained in its place"
    )
