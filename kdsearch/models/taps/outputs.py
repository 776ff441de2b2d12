"""The logits, or a map, in what a module returns: a tensor, a tuple, a list or a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Path: TypeAlias = tuple[str | int, ...]
"""Keys, fields and positions that lead from an output to one of its tensors."""

_LOGITS = ("logits", "out", "output", "pred", "preds", "prediction", "predictions", "main")
"""Names of the entry that holds the main logits, the surest first."""
_MAPS = ("out", "x", "last_hidden_state", "features", "feat", "feature_map")
"""Names of the entry that holds a block's map, the surest first."""
_DEEPEST = 4
"""Most steps of a path."""


def entries(output: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """The tensors of an output with the way to each, in order; fields by name where they have one.

    An object that is neither a sequence nor a mapping shows its attributes.
    """
    if isinstance(output, Tensor):
        yield path, output
    if isinstance(output, Tensor) or len(path) == _DEEPEST:
        return
    for key, value in _parts(output):
        yield from entries(value, (*path, key))


def _parts(output: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, tuple) and (names := getattr(type(output), "__match_args__", ())):
        yield from zip(names, output, strict=True)  # a named tuple's
    elif isinstance(output, Sequence) and not isinstance(output, str | bytes):
        yield from enumerate(output)
    elif hasattr(output, "__dict__") and not isinstance(output, torch.nn.Module):
        yield from vars(output).items()


def take(output: Any, path: Path) -> Tensor | None:
    """The tensor at the end of a path; ``None`` where this output has none there."""
    for key in path:
        if isinstance(output, Mapping):
            output = output.get(key)
        elif isinstance(key, str):
            output = getattr(output, key, None)
        elif isinstance(output, Sequence) and key < len(output):
            output = output[key]
        else:
            return None
    return output if isinstance(output, Tensor) else None


def main_logits(output: Any, path: Path, classes: int) -> Any:
    """The main logits of an output.

    An output of another form than the one that ``path`` was found in, as some networks return it
    in training, is searched again: a list is taken for exits, earliest first; of a tuple the first
    logits are the main ones, as in torchvision.
    """
    if isinstance(output, Tensor):
        return output
    found = take(output, path) if path else None
    if found is not None:
        return found
    fitting = [way for way, _ in of_classes(output, classes)]
    if not fitting:
        return output
    named = _by_name(fitting)
    return take(output, named or fitting[-1 if isinstance(output, list) else 0])


def find_logits(output: Any, classes: int, made: Sequence[tuple[int, str] | None]) -> Path | None:
    """The way to the main logits in the output of a dry run; ``None`` where it cannot be told.

    Of the entries of the classes' shape, the one with a usual name is taken, or the only one that
    neither is named auxiliary nor comes from a layer of such a name. Of several the deepest is the
    main one, which is the one computed last: exits come earliest first, auxiliary logits behind
    the main ones.

    Args:
        output: What the module returned.
        classes: Number of classes.
        made: For each entry of the classes' shape, in order, when it was computed and by which
            layer; ``None`` where no module returned it.
    """
    fitting = [way for way, _ in of_classes(output, classes)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    named = _by_name(fitting)
    if named is not None:
        return named
    main = [way for way, by in zip(fitting, made, strict=True) if by is None or "aux" not in by[1]]
    if len(main) == 1:
        return main[0]
    known = [by[0] for by in made if by is not None]
    if len(set(known)) == len(fitting) and max(known) in (known[0], known[-1]):
        return fitting[known.index(max(known))]
    return fitting[-1] if isinstance(output, list) else None


def of_classes(output: Any, classes: int) -> list[tuple[Path, Tensor]]:
    """The entries of an output that have the shape of logits [B, K]."""
    return [
        (way, value)
        for way, value in entries(output)
        if value.ndim == 2 and value.shape[1] == classes and value.is_floating_point()
    ]


def _by_name(fitting: Sequence[Path]) -> Path | None:
    """The one with the surest name, or the only one whose name is not that of a side output."""
    for name in _LOGITS:
        for way in fitting:
            if way and way[-1] == name:
                return way
    others = [way for way in fitting if not any("aux" in str(key).lower() for key in way)]
    return others[0] if len(others) == 1 else None


def find_map(output: Any) -> Path | None:
    """The way to the map that a block hands on: a usual name, or the first tensor.

    Several maps of different resolutions are the maps of several stages: ``None``.
    """
    found = list(entries(output))
    maps = {tuple(value.shape[1:]) for _, value in found if value.ndim == 4}
    if not found or (len(maps) > 1 and len({shape[1:] for shape in maps}) == len(maps)):
        return None
    for name in _MAPS:
        for way, _ in found:
            if way and way[-1] == name:
                return way
    return found[0][0]


def take_map(output: Any, path: Path) -> Tensor | None:
    """The map at the end of a path, or the one that stands for it in an output of another form."""
    if isinstance(output, Tensor):
        return output
    found = take(output, path)
    if found is None:
        way = find_map(output)
        found = None if way is None else take(output, way)
    return found
