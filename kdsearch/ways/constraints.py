"""Weights that are held to a form while they are trained, by PyTorch's parametrizations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

from kdsearch.ways.layers import Weighted

Form = TypeVar("Form", bound=nn.Module)


def constrain(layer: Weighted, form: nn.Module) -> None:
    """Give a layer's weight a form."""
    parametrize.register_parametrization(layer, "weight", form.to(layer.weight.device))


def forms(network: nn.Module, kind: type[Form]) -> Iterator[tuple[Tensor, Form]]:
    """Each weight that has a form of a kind, as it is trained, with the form."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            held = layer.get_submodule("parametrizations.weight")
            assert isinstance(held, parametrize.ParametrizationList)
            yield from ((held.original, form) for form in held if isinstance(form, kind))


def begins_now(after: float, done: int, total: int) -> bool:
    """Whether a form that begins after a share of the training does so with this step."""
    return done == max(round(after * total), 1)


def settle(network: nn.Module) -> None:
    """Make the weights plain tensors with the values that their forms give them."""
    for layer in list(network.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
