"""Weights on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from kdsearch.errors import DivergedError
from kdsearch.files import checksum, write_atomically
from kdsearch.models.network import Network
from kdsearch.models.weights.packed import pack_state, unpack_state


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
    state = {name: value.detach().cpu() for name, value in tensors_of(network).items()}
    packed = pack_state(network, state, stored_dtype(network))
    return save({name: value.contiguous().clone() for name, value in packed.items()})


def stored_dtype(network: Network) -> torch.dtype:
    """Of the floating-point numbers of a network as it is shipped."""
    return torch.float16 if network.stored == "float16" else torch.float32


def round_to_stored(network: Network) -> None:
    """Round a network's weights, in place, to the precision in which it is shipped.

    Raises:
        DivergedError: One is beyond what that holds.
    """
    if network.stored == "float32":  # as which it is trained
        return
    state = {name: value.detach().cpu() for name, value in tensors_of(network).items()}
    read = unpack_state(network, pack_state(network, state, stored_dtype(network)))
    with torch.no_grad():
        for name, values in tensors_of(network).items():
            rounded = read[name].to(values.device, values.dtype)
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


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers by name, without state that is no tensor."""
    return {k: v for k, v in network.state_dict().items() if isinstance(v, Tensor)}
