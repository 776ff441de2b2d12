"""Weights on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from kdsearch.errors import CheckpointError, DivergedError
from kdsearch.files import checksum, write_atomically
from kdsearch.models import Network
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.training.checkpoint_forms import read_state, renamed

WRAPPER = "model."
"""What the names of a network that kdsearch wraps start with."""

_AUXILIARY = ("model.aux1.", "model.aux2.", "model.AuxLogits.")
"""torchvision's classifiers for training alone, which kdsearch leaves out."""


def save_weights(network: Network, path: Path) -> None:
    """Save a network's parameters and buffers as safetensors, and their checksum beside them.

    Floating-point ones in the precision in which the network is shipped.

    Raises:
        OSError: They cannot be written.
    """
    content = shipped_content(network)
    write_atomically(path, content)
    write_atomically(_checksum_file(path), hashlib.sha256(content).hexdigest().encode())


def shipped_content(network: Network) -> bytes:
    """The content of a file of :func:`save_weights`."""
    return save(
        {
            name: _shipped(tensor.detach().cpu(), network).contiguous().clone()
            for name, tensor in tensors_of(network).items()
        }
    )


def _shipped(values: Tensor, network: Network) -> Tensor:
    half = network.stored == "float16" and values.is_floating_point()
    return values.half() if half else values


def round_to_stored(network: Network) -> None:
    """Round a network's weights, in place, to the precision in which it is shipped.

    Raises:
        DivergedError: One is beyond what that holds.
    """
    if network.stored == "float32":  # as which it is trained
        return
    with torch.no_grad():
        for name, values in tensors_of(network).items():
            rounded = _shipped(values, network).to(values.dtype)
            if not torch.equal(rounded.isfinite(), values.isfinite()):
                raise DivergedError(f"{name} is beyond what {network.stored} holds; ship float32")
            values.copy_(rounded)


def check_weights(path: Path) -> str | None:
    """What is wrong with a file of :func:`save_weights`; ``None`` if it is as it was saved."""
    try:
        sound = checksum(path) == _checksum_file(path).read_text()
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    return None if sound else f"{path} is not as it was saved: its checksum differs"


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


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


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers by name, without state that is no tensor."""
    return {k: v for k, v in network.state_dict().items() if isinstance(v, Tensor)}


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
