"""How far the tensors of a file fit a network, name by name and shape by shape."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from kdsearch.errors import CheckpointError
from kdsearch.models.network import Network
from kdsearch.models.parts import head_names, is_within
from kdsearch.models.taps.tapped import WRAPPER, TappedNetwork

_NAMED = 5
"""So many of a kind of misfit are named; the others are counted."""


@dataclass(frozen=True)
class Misfits:
    """What of a file of weights does not fit a network.

    Attributes:
        missing: Names that the file lacks.
        extra: Names that the network does not have, with their shapes.
        other: Names of another shape: those of the file and of the network.
        wrapper: What kdsearch puts before the network's own names.
    """

    missing: list[str]
    extra: dict[str, list[int]]
    other: dict[str, tuple[list[int], list[int]]]
    wrapper: str

    @classmethod
    def of(
        cls, network: Network, own: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> Misfits:
        """Of a network's tensors and those of a file, by the same names."""
        return cls(
            sorted(own.keys() - state.keys()),
            {name: list(state[name].shape) for name in sorted(state.keys() - own.keys())},
            {
                name: (list(state[name].shape), list(own[name].shape))
                for name in sorted(own.keys() & state.keys())
                if own[name].shape != state[name].shape
            },
            wrapper_of(network),
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.other)

    def told(self) -> str:
        """All of it in a sentence: the first of each kind by name and shape, and how many."""
        parts = []
        if self.other:
            shapes = (
                f"{self.named(name)} is {found} in the file and {needed} in the model"
                for name, (found, needed) in self.other.items()
            )
            parts.append(f"{_counted(self.other, 'of another shape')}{_first(shapes, self.other)}")
        if self.missing:
            names = (self.named(name) for name in self.missing)
            parts.append(f"the file lacks {_listed(names, self.missing)}")
        if self.extra:
            shapes = (f"{self.named(name)} {shape}" for name, shape in self.extra.items())
            parts.append(f"the model has no {_listed(shapes, self.extra)}")
        return "; ".join(parts)

    def named(self, name: str) -> str:
        """A name as the network's own library has it."""
        return name.removeprefix(self.wrapper)

    def of_head(self, network: Network, own: Mapping[str, Tensor]) -> bool:
        """Whether nothing but the head misfits: it has other classes, or the file has none."""
        head = head_names(network)
        return (
            not self.extra
            and all(is_within(name, head) for name in self.missing)
            and all(
                of_other_classes(network, found, needed) for found, needed in self.other.values()
            )
        )


def wrapper_of(network: Network) -> str:
    """What kdsearch puts before the names of a network that it wraps; empty for its own."""
    return WRAPPER if isinstance(network, TappedNetwork) else ""


def of_other_classes(network: Network, found: list[int], needed: list[int]) -> bool:
    """Whether two shapes of one name differ in the number of classes alone."""
    return bool(needed) and found[1:] == needed[1:] and needed[0] == network.classes


def check_fit(
    network: Network, misfits: Misfits, own: Mapping[str, Tensor], origin: str, what: str
) -> None:
    """Refuse weights that do not fit a network.

    Raises:
        CheckpointError: With the first misfits of each kind, by name and shape.
    """
    if not misfits:
        return
    if misfits.other and not misfits.missing and misfits.of_head(network, own):
        name, (found, _) = next(iter(misfits.other.items()))
        raise CheckpointError(
            f"{origin} was made for {found[0]} classes ({misfits.named(name)}), and the data have "
            f"{network.classes}; train the network on these data first, give the data that {what} "
            f"was trained on, or, of a teacher of other classes, set model.outputs to {found[0]}"
        )
    raise CheckpointError(
        f"{origin} holds weights of another architecture than {what} ({misfits.told()}); "
        f"{_remedy(misfits)}"
    )


def _remedy(misfits: Misfits) -> str:
    """What to change so that weights fit."""
    for name, (found, needed) in misfits.other.items():
        if len(found) == 4 and needed == [found[0], 1, *found[2:]]:
            return (
                f"they take images of {found[1]} channels: give normalise, with the mean and std "
                f"of each ({misfits.named(name)}), and grey images are repeated"
            )
        if "pos" in name and found[-1:] == needed[-1:]:
            return (
                f"set image_size to that which they were trained with ({misfits.named(name)} "
                "follows from it)"
            )
    return "set the architecture that the file was made with"


def _counted(names: Collection[str], of: str) -> str:
    return f"{len(names)} {of}: " if len(names) > 1 else ""


def _first(told: Iterable[str], every: Collection[str]) -> str:
    shown = [each for each, _ in zip(told, range(_NAMED), strict=False)]
    return ", ".join(shown) + (", …" if len(every) > _NAMED else "")


def _listed(told: Iterable[str], every: Collection[str]) -> str:
    count = f"{len(every)}: " if len(every) > 1 else ""
    return count + _first(told, every)
