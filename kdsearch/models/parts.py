"""What a network is made of in the order of its depth: its stages or blocks, and its head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from kdsearch.models.adopted import BACKBONE, AdoptedClassifier
from kdsearch.models.network import Network
from kdsearch.models.taps.calls import Call, dry_run
from kdsearch.models.taps.tapped import WRAPPER, TappedNetwork


@dataclass(frozen=True)
class Parts:
    """The depth of every module.

    Attributes:
        stages: What the parts are called, shallow to deep; the head is none of them.
        depths: The part of each module by its name, from 0; that of the head is the number of
            parts. A module that holds several has that of the first.
    """

    stages: tuple[str, ...]
    depths: Mapping[str, int]

    @property
    def head(self) -> int:
        """The depth of the head."""
        return len(self.stages)

    def of(self, parameter: str) -> int:
        """The depth of a parameter or buffer."""
        return self.depths[parameter.rpartition(".")[0]]


def head_names(network: Network) -> tuple[str, ...]:
    """The modules that make up the head: what gives the logits; none where that cannot be told.

    Of a network that has adopted its teacher's classifier, the projector is part of it.
    """
    if isinstance(network, AdoptedClassifier):
        return tuple(name for name, _ in network.named_children() if name != BACKBONE)
    if isinstance(network, TappedNetwork):
        return (WRAPPER + network.taps.classifier.module,)
    head = network.head
    return tuple(name for name, part in network.named_modules() if part is head)


def is_within(name: str, parents: Sequence[str]) -> bool:
    """Whether a module or parameter is one of some modules, or lies in one."""
    return any(name == each or name.startswith(f"{each}.") for each in parents)


def find_parts(network: Network) -> Parts:
    """The stages or blocks of a network, in the order of its depth.

    kdsearch's own families have their stages. Of any other network the order is that in which a
    forward pass of blank samples first enters its modules. A part then ends where a stage map is
    read (:func:`~kdsearch.models.taps.find_stages.find_stages`). Where there are none, as in a
    transformer over tokens, the parts are what comes before the first block, and each block: the
    blocks are the most modules of one kind that one module calls. Failing that, every layer with
    weights is a part. What comes behind the last part, and is not the head, belongs to it; so does
    what precedes the first stage to that.
    """
    heads = head_names(network)
    inner, prefix = network, ""
    if isinstance(network, AdoptedClassifier):
        inner, prefix = network.backbone, f"{BACKBONE}."
    stages, depths = _inner_parts(inner, [name.removeprefix(prefix) for name in heads])
    # what no forward pass of the inner network enters, such as its preparation, comes first
    found = {name: 0 for name, _ in network.named_modules()}
    found |= {prefix + name if name else prefix[:-1]: at for name, at in depths.items()}
    for name, _ in network.named_modules():
        if is_within(name, heads):
            found[name] = len(stages)
    return Parts(tuple(prefix + each for each in stages), found)


def _inner_parts(network: Network, heads: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """The names of the parts, and the part of each module."""
    stages = getattr(network, "stages", None)
    if isinstance(stages, nn.ModuleList) and len(stages):
        return _staged(network, len(stages))
    module: nn.Module = network
    prefix, ends, inputs = "", [], network.inputs
    if isinstance(network, TappedNetwork):
        module, prefix, inputs = network.model, WRAPPER, network.own_inputs
        ends = [stage.tap.place for stage in network.taps.stages]
    root = dry_run(module, network.family, inputs, network.classes).root
    order = _Order(root, [name.removeprefix(prefix) for name in heads])
    cuts = order.at(ends) or order.blocks() or order.layers()
    lasts = sorted(cuts.values())
    depths = {
        prefix + name if name else prefix[:-1]: min(
            bisect_left(lasts, order.entered(name)), max(len(lasts) - 1, 0)
        )
        for name, _ in module.named_modules()
    }
    names = sorted(cuts, key=lambda name: cuts[name])
    return [prefix + name for name in names], depths


def _staged(network: nn.Module, count: int) -> tuple[list[str], dict[str, int]]:
    names = [f"stages.{number}" for number in range(count)]

    def depth(name: str) -> int:
        first, _, rest = name.partition(".")
        if first == "stages":
            return int(rest.partition(".")[0] or 0)
        return count - 1 if name else 0

    return names, {name: depth(name) for name, _ in network.named_modules()}


class _Order:
    """When the modules of a forward pass are entered first, and when each call has entered its
    last.

    Args:
        root: The call of the network.
        heads: Names of what belongs to no part.
    """

    def __init__(self, root: Call, heads: Sequence[str]) -> None:
        self._root, self._heads = root, heads
        self._first: dict[str, int] = {}
        self._last: dict[tuple[str, int], int] = {}
        self._count = 0
        self._number(root)

    def _number(self, call: Call) -> None:
        self._first.setdefault(call.tap.module, self._count)
        self._count += 1
        for each in call.calls:
            self._number(each)
        self._last[call.tap.place] = self._count - 1

    def entered(self, name: str) -> int:
        """When a module, or the one around it that was called at all, was entered first."""
        while name not in self._first and name:
            name = name.rpartition(".")[0]
        return self._first[name]

    def at(self, places: Sequence[tuple[str, int]]) -> dict[str, int]:
        """The ends of some calls, by module."""
        return {place[0]: self._last[place] for place in places}

    def blocks(self) -> dict[str, int]:
        """The ends of the blocks, and of what is before them; empty where there are none."""
        groups = [self._alike(call) for call in _before(self._root)]
        found = max(groups, key=len, default=[])
        if len(found) < 2:
            return {}
        first = self._first[found[0].tap.module]
        before = [call for call in self._weighing() if self._first[call.tap.module] < first]
        ends = self.at([call.tap.place for call in found])
        if before:
            ends = {before[0].tap.module: first - 1} | ends
        return ends

    def layers(self) -> dict[str, int]:
        """The ends of all calls of layers with weights."""
        return self.at([call.tap.place for call in self._weighing()])

    def _weighing(self) -> list[Call]:
        calls = [call for call in _before(self._root) if _own_weights(call.module)]
        return [call for call in calls if self._is_part(call)]

    def _alike(self, parent: Call) -> list[Call]:
        """The most modules of one kind, with weights, that a call has called."""
        kinds: dict[type[nn.Module], list[Call]] = {}
        for call in parent.calls:
            if self._is_part(call) and any(True for _ in call.module.parameters()):
                kinds.setdefault(type(call.module), []).append(call)
        return max(kinds.values(), key=len, default=[])

    def _is_part(self, call: Call) -> bool:
        """Whether it is the first call of a module, and this neither is nor holds a head."""
        name = call.tap.module
        holds = not name or any(is_within(head, [name]) for head in self._heads)
        return not (call.tap.call or holds or is_within(name, self._heads))


def _before(call: Call) -> Iterator[Call]:
    """A call and those within it, each before what it calls."""
    yield call
    for each in call.calls:
        yield from _before(each)


def _own_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))
