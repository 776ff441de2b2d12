"""The one interface of every way to a small model beside width and depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.names import suggest
from kdsearch.ways.constraints import constrain
from kdsearch.ways.layers import Weighted, weighted_layers

Changes = Literal["start", "layers", "weights"]
"""What a way changes: what a student is cut from, the layers themselves, or the form in which
weights are stored. A sum has at most one way of each kind."""

CHANGED: Mapping[Changes, str] = {
    "start": "what it is cut from",
    "layers": "the layers",
    "weights": "how weights are stored",
}
"""Each kind of change in words."""


class Stage(NamedTuple):
    """A part of a training.

    Attributes:
        width: Of the network in it, as a multiple of the student's.
        epochs: Its length.
    """

    width: float
    epochs: int


class Way:
    """One way to make a student smaller, whatever it is taught by.

    A way that changes the ``start`` divides the training into stages (:meth:`stages`). Each trains
    a network of another width, whose most important channels the next one keeps; that of the last
    is the student, with what other ways change. A way that changes ``layers`` does so in
    :meth:`reshape`, when the network is built, so that its size is known before it is trained, and
    takes over the weights of the network as it was in :meth:`fill`. One that changes ``weights``
    holds them to its form while they are trained (:meth:`constrain`, :meth:`step`), and stores each
    of them in few bytes (:meth:`pack`, :meth:`unpack`).

    Args:
        values: Hyperparameters by name; absent ones take the published defaults.

    Attributes:
        values: Every hyperparameter with its value.

    Raises:
        ModelError: A hyperparameter that the way does not have, or a value that makes no sense.
    """

    name: ClassVar[str]
    """The name in the spec."""
    about: ClassVar[str]
    """What it does, in a few words."""
    paper: ClassVar[str]
    """Authors, year and title."""
    changes: ClassVar[Changes]
    hyperparameters: ClassVar[Mapping[str, Hyperparameter]]

    def __init__(self, **values: float) -> None:
        for name, value in values.items():
            if name not in self.hyperparameters:
                raise ModelError(
                    f"{self.name} has no hyperparameter '{name}'; "
                    f"{suggest(name, self.hyperparameters)}"
                )
            fault = self.hyperparameters[name].fault(value)
            if fault is not None:
                raise ModelError(f"{self.name}: '{name}' {fault}")
        self.values: dict[str, float] = {
            name: values.get(name, declared.default)
            for name, declared in self.hyperparameters.items()
        }

    def check(self, network: nn.Module) -> None:
        """Refuse a network of which the way would make nothing.

        Raises:
            ModelError: With the reason.
        """
        if self.changes == "weights" and not list(self.layers(network)):
            raise ModelError(
                f"{self.name} has no weights to change: all are of a first convolution, or filter "
                "each channel alone; choose a deeper student"
            )

    def stages(self, epochs: int) -> list[Stage]:
        """The parts of a training, of ways that change the ``start``; the last is of width 1.

        Args:
            epochs: Of the whole training.

        Raises:
            ModelError: They are too few.
        """
        raise NotImplementedError

    def layers(self, network: nn.Module) -> Iterator[tuple[str, Weighted]]:
        """The layers whose ``weight`` it changes, by name."""
        return weighted_layers(network)

    def reshape(self, network: nn.Module) -> None:
        """Change the layers of a network that was just built, in place; also without values, on the
        meta device."""

    def fill(self, network: nn.Module, whole: nn.Module) -> None:
        """Give a reshaped network the weights that its layers had before.

        Args:
            network: What :meth:`reshape` changed.
            whole: The same network unchanged.
        """
        network.load_state_dict(whole.state_dict())

    def constrain(self, network: nn.Module) -> None:
        """Hold the weights of a network to the way's form, before its training."""
        if self.changes == "weights":
            for _, layer in list(self.layers(network)):
                constrain(layer, self.form(layer.weight.shape))

    def form(self, shape: torch.Size) -> nn.Module:
        """What a weight of a shape is given by while it is trained: a parametrization."""
        raise NotImplementedError

    def step(self, network: nn.Module, done: int, total: int) -> None:
        """Go on with the form after a step of the optimiser.

        Args:
            network: The network, constrained.
            done: Steps that are done, this one among them.
            total: Steps of the training.
        """

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """A settled weight as it is stored: tensors by their part's name.

        Args:
            weight: On the processor.
            dtype: Of the numbers of a student as it is shipped: float32 or float16.
        """
        raise NotImplementedError

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        """The weight that :meth:`pack` stored, float32.

        Exported files unpack their weights by it, so it must be of operators that ONNX has.
        """
        raise NotImplementedError

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        """Bytes of a stored weight, known before the training.

        Args:
            shape: Of the weight.
            bytes_each: Of a floating-point number as the student is shipped.
        """
        raise NotImplementedError
