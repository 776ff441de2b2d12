"""Weights from files of any usual form."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from kdsearch.errors import CheckpointError
from kdsearch.models.network import Network
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.models.weights.forms import read_state, renamed
from kdsearch.models.weights.saving import tensors_of

WRAPPER = "model."
"""What the names of a network that kdsearch wraps start with."""

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
    own = tensors_of(network)
    wrapper = WRAPPER if isinstance(network, TappedNetwork) else ""
    state = renamed(read_state(path, what), own, wrapper)
    if network.family.startswith(("torchvision/googlenet", "torchvision/inception")):
        state = {k: v for k, v in state.items() if not k.startswith(_AUXILIARY) or k in own}
    # PyTorch before 0.4 did not count batches
    state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | state
    _check_fit(network, own, state, path, what, wrapper)
    kept = {k: v for k, v in network.state_dict().items() if not isinstance(v, Tensor)}
    network.load_state_dict({**kept, **state})


def _check_fit(
    network: Network,
    own: dict[str, Tensor],
    state: dict[str, Tensor],
    path: Path,
    what: str,
    wrapper: str,
) -> None:
    def named(name: str) -> str:
        return name.removeprefix(wrapper)

    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    other = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if not (missing or extra or other):
        return
    if not (missing or extra) and all(_of_head(network, own[k], state[k]) for k in other):
        raise CheckpointError(
            f"{path} was made for {len(state[other[0]])} classes ({named(other[0])}), and the data "
            f"have {network.classes}; train the network on these data first, or give the data that "
            f"{what} was trained on"
        )
    reasons = [
        f"{named(k)} is {list(state[k].shape)} in the file and {list(own[k].shape)} in the model"
        for k in other[:1]
    ]
    reasons += [f"the file lacks {named(name)}" for name in missing[:1]]
    reasons += [f"the model has no {named(name)}" for name in extra[:1]]
    raise CheckpointError(
        f"{path} holds weights of another architecture than {what} "
        f"({'; '.join(reasons)}); set the architecture that the file was made with"
    )


def _of_head(network: Network, own: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one name differ in the number of classes alone."""
    sizes = own.shape[1:] == other.shape[1:] and own.ndim > 0
    return sizes and len(own) == network.classes
