"""Weights on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from kdsearch.errors import CheckpointError
from kdsearch.files import checksum, write_atomically
from kdsearch.models import Network


def save_weights(network: Network, path: Path) -> None:
    """Save a network's parameters and buffers as safetensors, and their checksum beside them.

    Raises:
        OSError: They cannot be written.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    content = save(tensors)
    write_atomically(path, content)
    write_atomically(_checksum_file(path), hashlib.sha256(content).hexdigest().encode())


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
    """Load weights from a ``.safetensors`` file or a PyTorch state dict.

    Args:
        network: The network that takes the weights.
        path: The file.
        what: What the weights are for, in the words of the error ("the teacher").

    Raises:
        CheckpointError: The file is missing, is no file of weights, or fits another architecture.
    """
    state = _read(path, what)
    own = network.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    shapes = [
        f"{name} is {list(state[name].shape)} in the file and {list(own[name].shape)} in the model"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    if missing or extra or shapes:
        reasons = sorted(shapes)[:1] + [f"the file lacks {name}" for name in missing[:1]]
        reasons += [f"the model has no {name}" for name in extra[:1]]
        raise CheckpointError(
            f"{path} holds weights of another architecture than {what} "
            f"({'; '.join(reasons)}); set the architecture that the file was made with"
        )
    network.load_state_dict(state)


def _read(path: Path, what: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"no file of weights for {what} at {path}; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes of the file lead it to
        raise CheckpointError(
            f"{path} is not a whole file of weights ({_reason(error)}); save it again as "
            "safetensors or as a PyTorch state dict"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} holds no state dict; save model.state_dict() for {what}")
    return state


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds more than tensors"
    return next(iter(str(error).splitlines()), type(error).__name__)
