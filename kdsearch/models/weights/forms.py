"""Files of weights as people have them: what they hold, and what the names in them mean."""

from __future__ import annotations

import argparse
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PosixPath
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from kdsearch.errors import CheckpointError

State = dict[str, Tensor]

WRAPPERS = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights")
"""Under which keys training scripts keep the weights."""

AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
"""Under which keys they keep the average of the weights, which is taken where it is alone."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "network.")
"""What wrappers put before every name: DataParallel, ``torch.compile``, a class around it."""

_NUMBER = cast(Callable[..., Any], np.float64(0).__reduce__()[0])

_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    PosixPath,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    (_NUMBER, "numpy.core.multiarray.scalar"),
    (_NUMBER, "numpy._core.multiarray.scalar"),
]
"""What training scripts pickle beside the tensors (their arguments, the best accuracy). To make
one runs no code of the file."""


def read_state(path: Path, what: str) -> State:
    """The tensors of a file of weights, by the names that the file gives them.

    Nothing but tensors, plain values and what is harmless is unpickled: no code of the file runs.

    Args:
        path: A ``.safetensors`` file, a PyTorch state dict, or a training script's checkpoint.
        what: What the weights are for, in the words of the error ("the teacher").

    Raises:
        CheckpointError: The file is missing, is no file of weights, or holds other objects.
    """
    if not path.is_file():
        raise CheckpointError(f"no file of weights for {what} at {path}; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_HARMLESS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes of the file lead it to
        raise CheckpointError(_unread(path, error)) from None
    state = _unwrapped(found)
    if state is None:
        raise CheckpointError(f"{path} holds no state dict; save model.state_dict() for {what}")
    return state


def _unwrapped(found: Any) -> State | None:
    """The state dict in a checkpoint; ``None`` where there is none."""
    for key in (*WRAPPERS, *AVERAGES):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            return _unwrapped(found[key])
    if not isinstance(found, Mapping):
        return None
    # what modules keep beside tensors (get_extra_state) is no part of a file of weights
    state = {str(k): v for k, v in found.items() if not str(k).endswith("_extra_state")}
    return state if state and all(isinstance(v, Tensor) for v in state.values()) else None


def renamed(state: State, own: Collection[str], wrapper: str = "") -> State:
    """The tensors under the network's names, as far as the file's wrappers can be told.

    Args:
        state: Of :func:`read_state`.
        own: The network's names.
        wrapper: What kdsearch puts before the names of a network that it wraps.
    """
    return max(_namings(state, wrapper), key=lambda names: len(names.keys() & set(own)))


def _namings(state: State, wrapper: str) -> Iterator[State]:
    """The tensors as they are, then with fewer prefixes, each also behind the wrapper's."""
    state = {name: value for name, value in state.items() if name != "n_averaged"}
    while True:
        yield state
        if wrapper:
            yield {wrapper + name: value for name, value in state.items()}
        shared = next((p for p in PREFIXES if all(n.startswith(p) for n in state)), None)
        if shared is None or not state:
            return
        state = {name.removeprefix(shared): value for name, value in state.items()}


def _unread(path: Path, error: Exception) -> str:
    """Why a file cannot be read, and what makes one of it that can."""
    others = _other_objects(path)
    if not others:
        return (
            f"{path} is not a whole file of weights ({_reason(error)}); save it again as "
            "safetensors or as a PyTorch state dict"
        )
    new = path.with_name(f"{path.stem}-state-dict.pt")
    load = f"import torch; found = torch.load('{path}', map_location='cpu', weights_only=False)"
    if _starts_with_a_dict(path):
        holds, state = "other objects beside the tensors", "found['state_dict']"
        hint = " (or the key that your script gave them)"
    else:
        holds, state, hint = "a whole pickled model, no state dict", "found.state_dict()", ""
    return (
        f"{path} holds {holds} ({', '.join(others[:3])}), and to unpickle that runs code of the "
        f"file, which kdsearch never does; if you trust it, run in Python, where its classes can "
        f"be imported: {load}; torch.save({state}, '{new}'){hint}; then give {new}"
    )


def _other_objects(path: Path) -> list[str]:
    """The classes and functions that unpickling the file would need; none if it is no pickle."""
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # as torch.load: whatever the bytes lead it to
        return []


def _starts_with_a_dict(path: Path) -> bool:
    """Whether the outermost object of a file of ``torch.save`` is a dictionary."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        codes = pickletools.genops(archive.read(name))
        first = next(code.name for code, _, _ in codes if code.name not in ("PROTO", "FRAME"))
    return first in ("EMPTY_DICT", "DICT", "MARK")


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds more than tensors"
    return next(iter(str(error).splitlines()), type(error).__name__)
