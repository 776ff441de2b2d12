"""The weights of the channels that are kept, put into the narrower network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.compression.layers import CONVOLUTIONS, Side, each_group
from kdsearch.compression.units import Kept
from kdsearch.errors import ModelError
from kdsearch.models.weights import tensors_of


def fill(target: nn.Module, source: nn.Module, kept: Kept) -> None:
    """Give a narrower network the weights of a wider one.

    Args:
        target: The narrower network; its parameters and buffers are overwritten.
        source: The wider one, with the same layers by name.
        kept: Which channels each side keeps.

    Raises:
        ModelError: A layer of a kind that is not cut differs in size.
    """
    others = tensors_of(source)
    with torch.no_grad():
        for name, values in tensors_of(target).items():
            if name not in others:
                raise ModelError(f"{name} is in the narrower network alone")
            values.copy_(_taken(name, values, others[name], target, source, kept))


def _taken(
    name: str, own: Tensor, theirs: Tensor, target: nn.Module, source: nn.Module, kept: Kept
) -> Tensor:
    """The part of one tensor of the wider network that the narrower one takes."""
    place, _, key = name.rpartition(".")
    layer = target.get_submodule(place)
    both, out = kept.get(Side(place, "both")), kept.get(Side(place, "out"))
    rows = both if both is not None else out
    if rows is None:
        if own.shape != theirs.shape:
            raise ModelError(
                f"{name} changes with the width, and a {type(layer).__name__} is none of the "
                "layers that are cut: convolutions, linear layers and batch normalisation"
            )
        return theirs
    if theirs.ndim == 0:  # batch normalisation's count of batches
        return theirs
    taken = theirs[torch.from_numpy(rows).to(theirs.device)]
    if out is None or key != "weight":
        return taken
    columns = torch.from_numpy(kept[Side(place, "in")]).to(theirs.device)
    if not isinstance(layer, CONVOLUTIONS) or layer.groups == 1:
        return taken[:, columns]
    return _by_group(taken, columns, layer, source.get_submodule(place))


def _by_group(rows: Tensor, columns: Tensor, layer: nn.Module, other: nn.Module) -> Tensor:
    """Of each row [inputs of a group, ...] the kept inputs of its own group."""
    size, made = each_group(layer)
    their_size, _ = each_group(other)
    local = (columns % their_size).reshape(-1, size).repeat_interleave(made, dim=0)
    index = local.reshape(*local.shape, *[1] * (rows.ndim - 2))
    return rows.gather(1, index.expand(-1, -1, *rows.shape[2:]))
