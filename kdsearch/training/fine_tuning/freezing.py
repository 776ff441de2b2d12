"""What of a network keeps its weights, from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from kdsearch.compression.layers import NORMALISATIONS
from kdsearch.errors import ModelError
from kdsearch.models import Network
from kdsearch.models.parts import Parts, find_parts, head_names, is_within
from kdsearch.models.taps.tapped import WRAPPER, TappedNetwork
from kdsearch.spec.concrete import BACKBONE, FineTuning
from kdsearch.spec.names import suggest


@dataclass(frozen=True)
class Frozen:
    """What is frozen at a time, by names of modules.

    Attributes:
        owners: Those whose own parameters, without those of the modules in them, are frozen.
        quiet: Those that run in eval mode, as all in them does.
    """

    owners: frozenset[str] = frozenset()
    quiet: frozenset[str] = frozenset()

    def __or__(self, other: Frozen) -> Frozen:
        return Frozen(self.owners | other.owners, self.quiet | other.quiet)


class Freezing:
    """Freezes parts of a network: they get no gradient, and run in eval mode.

    What lies before the first trained part needs no gradient either, and none is computed.

    Args:
        network: The network; what requires no gradient when it comes never will.
        tuning: What is to be frozen; ``None``: nothing.

    Attributes:
        always: The parameters that are frozen all along.

    Raises:
        ModelError: A name matches nothing, the network has fewer stages, it has no head that can be
            told, or nothing is left to train.
    """

    def __init__(self, network: Network, tuning: FineTuning | None) -> None:
        self._network = network
        self._trainable = [name for name, p in network.named_parameters() if p.requires_grad]
        self._head_epochs = 0 if tuning is None else tuning.head_epochs
        self._always: Frozen = Frozen()
        self._at_first: Frozen = Frozen()
        if tuning is not None:
            self._always = _frozen(network, tuning)
            if self._head_epochs:
                self._at_first = self._always | _frozen(network, FineTuning(freeze=BACKBONE))
        self.always = frozenset(self._parameters(self._always))
        if tuning is not None and self.always.issuperset(self._trainable):
            raise ModelError("freeze leaves nothing to train; freeze less")
        self._now: Frozen | None = None

    @property
    def active(self) -> bool:
        """Whether anything is frozen in the present epoch."""
        return self._now is not None and bool(self._now.owners)

    def begin_epoch(self, epoch: int) -> bool:
        """Freeze what is frozen in an epoch, counted from 0; whether that differs from before.

        To be called where the network is in training mode.
        """
        frozen = self._at_first if epoch < self._head_epochs else self._always
        for name, module in self._network.named_modules():
            if name in frozen.quiet:
                module.training = False
        if frozen == self._now:
            return False
        changed = self._now is not None or bool(frozen.owners)
        self._now = frozen
        without = set(self._parameters(frozen))
        for name in self._trainable:
            parameter = self._network.get_parameter(name)
            parameter.requires_grad_(name not in without)
            if name in without:
                parameter.grad = None
        return changed

    def _parameters(self, frozen: Frozen) -> list[str]:
        return [name for name in self._trainable if name.rpartition(".")[0] in frozen.owners]


def check_freezing(network: Network, tuning: FineTuning) -> None:
    """Refuse what :class:`Freezing` would, and what goes by the depth of a network without any, or
    by a head that cannot be told.

    Raises:
        ModelError: As there.
    """
    Freezing(network, tuning)
    if tuning.by_depth:
        find_parts(network)
    if tuning.layer_decay < 1 or tuning.pretrained_lr != 1:
        _known_heads(network, "leave out pretrained_lr and layer_decay")


def _frozen(network: Network, tuning: FineTuning) -> Frozen:
    """What a recipe freezes all along."""
    leaves = _chosen(network, tuning)
    heads = head_names(network)
    if tuning.batch_norm == "frozen":
        leaves |= {
            name
            for name, module in network.named_modules()
            if isinstance(module, NORMALISATIONS) and not is_within(name, heads)
        }
    return Frozen(frozenset(leaves), frozenset(_quiet(network, leaves)))


def _chosen(network: Network, tuning: FineTuning) -> set[str]:
    if tuning.freeze is None:
        return set()
    if tuning.freeze == BACKBONE:
        heads = _known_heads(network, "freeze modules by name")
        return _leaves(network, lambda name: not is_within(name, heads))
    if isinstance(tuning.freeze, int):
        count, parts = tuning.freeze, _deep_enough(network, tuning.freeze)
        return _leaves(network, lambda name: parts.depths[name] < count)
    names = [_found(network, name) for name in tuning.freeze]
    return _leaves(network, lambda name: is_within(name, names))


def _known_heads(network: Network, remedy: str) -> tuple[str, ...]:
    heads = head_names(network)
    if not heads:
        raise ModelError(
            "it has no linear layer that gives its logits, so the head cannot be told from the "
            f"rest; {remedy}"
        )
    return heads


def _deep_enough(network: Network, count: int) -> Parts:
    parts = find_parts(network)
    if count > len(parts.stages):
        told = ", ".join(name.removeprefix(_wrapper(network)) for name in parts.stages)
        raise ModelError(
            f"it has {len(parts.stages)} stages to freeze ({told}), not {count}; give at most that "
            f"many, or {BACKBONE}"
        )
    return parts


def _found(network: Network, given: str) -> str:
    """The full name of a module, given with what kdsearch puts before it or without."""
    wrapper = _wrapper(network)
    names = {name for name, _ in network.named_modules() if name}
    for name in (given, wrapper + given):
        if name in names:
            return name
    known = sorted(name.removeprefix(wrapper) for name in names)
    raise ModelError(f"it has no module '{given}' to freeze; {suggest(given, known)}")


def _wrapper(network: Network) -> str:
    return WRAPPER if isinstance(network, TappedNetwork) else ""


def _leaves(network: nn.Module, chosen: Callable[[str], bool]) -> set[str]:
    """The modules that hold no others, or weights of their own, and are chosen by their name."""
    return {
        name
        for name, module in network.named_modules()
        if chosen(name) and (not any(True for _ in module.children()) or _own(module))
    }


def _quiet(network: nn.Module, frozen: set[str]) -> set[str]:
    """Of the modules that are frozen, or hold others, those in which everything is frozen."""
    found: set[str] = set()
    for name, module in reversed(dict(network.named_modules()).items()):
        inner = [f"{name}.{child}" if name else child for child, _ in module.named_children()]
        frozen_itself = name in frozen or not _own(module)
        if frozen_itself and all(each in found for each in inner) and (inner or name in frozen):
            found.add(name)
    return found


def _own(module: nn.Module) -> bool:
    """Whether a module has weights or statistics beside those of the modules in it."""
    values = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return bool(values)
