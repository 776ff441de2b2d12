"""The weights of the channels that are kept, put into the narrower network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.compression.layers import CONVOLUTIONS, Side, each_group
from kdsearch.compression.units import Kept
from kdsearch.errors import ModelError


def fill(target: nn.Module, source: nn.Module, kept: Kept) -> None:
    """Give a narrower network the weights of a wider one.

    Args:
        target: The narrower network; its parameters and buffers are overwritten.
        source: The wider one, with the same layers by name.
        kept: Which channels each side keeps.

    Raises:
        ModelError: A layer of a kind that is not cut differs in size.
    """
    with torch.no_grad():
        for name, layer in target.named_modules():
            other = source.get_submodule(name)
            own = dict(
                [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
            )
            for key, values in own.items():
                theirs = getattr(other, key)
                assert isinstance(theirs, Tensor)
                values.copy_(_taken(name, layer, other, key, theirs, kept, values))


def _taken(
    name: str,
    layer: nn.Module,
    other: nn.Module,
    key: str,
    theirs: Tensor,
    kept: Kept,
    own: Tensor,
) -> Tensor:
    """The part of one tensor of the wider network that the narrower one takes."""
    both, out = kept.get(Side(name, "both")), kept.get(Side(name, "out"))
    rows = both if both is not None else out
    if rows is None:
        if own.shape != theirs.shape:
            raise ModelError(
                f"{name}.{key} changes with the width, and a {type(layer).__name__} is none of "
                "the layers that are cut: convolutions, linear layers and batch normalisation"
            )
        return theirs
    if theirs.ndim == 0:  # batch normalisation's count of batches
        return theirs
    taken = theirs[torch.from_numpy(rows).to(theirs.device)]
    if out is None or key != "weight":
        return taken
    columns = torch.from_numpy(kept[Side(name, "in")]).to(theirs.device)
    if not isinstance(layer, CONVOLUTIONS) or layer.groups == 1:
        return taken[:, columns]
    return _by_group(taken, columns, layer, other)


def _by_group(rows: Tensor, columns: Tensor, layer: nn.Module, other: nn.Module) -> Tensor:
    """Of each row [inputs of a group, ...] the kept inputs of its own group."""
    size, made = each_group(layer)
    their_size, _ = each_group(other)
    local = (columns % their_size).reshape(-1, size).repeat_interleave(made, dim=0)
    index = local.reshape(*local.shape, *[1] * (rows.ndim - 2))
    return rows.gather(1, index.expand(-1, -1, *rows.shape[2:]))
