"""Reading the stage maps and the embedding of an arbitrary module at named places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import get_ident
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.signals import Signal, Trace
from kdsearch.models.taps.outputs import Path, main_logits, take_map

Hook = Callable[[str, int, nn.Module, Any, Any], None]
"""Called with a module's name, the number of this call of it in the forward pass, the module, its
first input, and its output; before a call, the output is ``None``."""

Place = tuple[str, int]
"""A module's name and the number of its call."""


@dataclass(frozen=True)
class Tap:
    """One call of one module in a forward pass.

    Attributes:
        module: Dotted name of the module.
        call: Which of the module's calls, from 0; a ReLU may serve several places.
        channels_last: Whether the map that is read is [B, H, W, C].
        path: Where in the output the map is; empty where the output is the map.
    """

    module: str
    call: int
    channels_last: bool = False
    path: Path = ()

    @property
    def place(self) -> Place:
        """The call without how its output is read."""
        return self.module, self.call


@dataclass(frozen=True)
class StageTap:
    """Where one stage map is read.

    Attributes:
        tap: The call whose output is the stage map.
        earlier: Blocks of the same form in the same place before it, in order: the last of them
            stands for the stage where training skips blocks at random.
        activations: Modules of which one closes the stage, its very output being the stage map;
            empty where a stage ends in none, or in a function that is no module.
    """

    tap: Tap
    earlier: tuple[Tap, ...] = ()
    activations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taps:
    """Where the signals of a module are read.

    Attributes:
        stages: Where the stage maps are, shallow to deep.
        classifier: The call whose input, pooled, is the embedding.
        logits: Where in the module's output the main logits are.
    """

    stages: tuple[StageTap, ...]
    classifier: Tap
    logits: Path = ()


@contextmanager
def hooked(
    module: nn.Module, names: Collection[str], hook: Hook, before: bool = False
) -> Iterator[None]:
    """Call ``hook`` at each call of the named submodules, within this context and thread.

    Args:
        module: The module that holds the named ones.
        names: Dotted names.
        hook: What to call.
        before: Whether to call it before the submodules' own work instead of after it.
    """
    thread = get_ident()
    with ExitStack() as handles:
        for name in names:
            calls = count()

            def at_call(
                part: nn.Module,
                args: tuple,
                kwargs: dict[str, Any],
                output: Any = None,
                name: str = name,
                calls: Iterator[int] = calls,
            ) -> None:
                if get_ident() == thread:
                    inputs = (*args, *kwargs.values())
                    hook(name, next(calls), part, inputs[0] if inputs else None, output)

            part = module.get_submodule(name)
            register = part.register_forward_pre_hook if before else part.register_forward_hook
            handles.enter_context(register(at_call, with_kwargs=True))
        yield


@dataclass
class _Caught:
    """What the hooks of one forward pass have seen; the last call of a kind is kept."""

    stages: dict[int, Tensor] = field(default_factory=dict)
    preactivation: dict[int, Tensor] = field(default_factory=dict)
    embedding: Tensor | None = None
    entering: dict[str, Tensor] = field(default_factory=dict)
    activated: tuple[Tensor, Tensor] | None = None
    """Output and input of the last activation."""


def read(
    module: nn.Module,
    taps: Taps,
    inputs: Sequence[Tensor],
    classes: int,
    wanted: Collection[Signal] = frozenset(Signal),
) -> Trace:
    """What one forward pass of inputs [B, ...] shows; what is not wanted is empty.

    Only what is wanted is hooked. A closing activation's input stands for the stage before its
    activation; where the activation works in place, a copy of it. A stage without a closing
    activation stands for itself.

    Raises:
        ModelError: A place that is read was not called this time.
    """
    before = Signal.PREACTIVATION in wanted
    maps = before or bool({Signal.FEATURES, Signal.ATTENTION} & set(wanted))
    stages = taps.stages if maps else ()
    caught = _Caught()
    with ExitStack() as hooks:
        if before:
            _hook_activations(hooks, module, stages, caught)
        if stages:
            _hook_stages(hooks, module, stages, caught)
        if Signal.EMBEDDING in wanted:
            _hook_classifier(hooks, module, taps.classifier, caught)
        logits = main_logits(module(*inputs), taps.logits, classes)
    missed = Signal.EMBEDDING in wanted and caught.embedding is None
    closed = [i for i, stage in enumerate(stages) if stage.activations and before]
    if (
        missed
        or len(caught.stages) < len(stages)
        or any(i not in caught.preactivation for i in closed)
    ):
        raise ModelError(
            f"{type(module).__name__} does not call the same layers in every forward pass, so its "
            "inner signals cannot be read; return a kdsearch.models.Network instead"
        )
    features = tuple(caught.stages[i] for i in range(len(stages)))
    preactivation = tuple(caught.preactivation.get(i, each) for i, each in enumerate(features))
    embedding = logits.new_empty(0) if caught.embedding is None else caught.embedding
    return Trace(logits, embedding, features, preactivation if before else ())


def _hook_activations(
    hooks: ExitStack, module: nn.Module, stages: Sequence[StageTap], caught: _Caught
) -> None:
    names = {name for stage in stages for name in stage.activations}

    def enter(name: str, _: int, part: nn.Module, given: Any, __: Any) -> None:
        caught.entering[name] = given.clone() if getattr(part, "inplace", False) else given

    def leave(name: str, _: int, __: nn.Module, ___: Any, output: Any) -> None:
        caught.activated = output, caught.entering.pop(name)

    hooks.enter_context(hooked(module, names, enter, before=True))
    hooks.enter_context(hooked(module, names, leave))


def _hook_stages(
    hooks: ExitStack, module: nn.Module, stages: Sequence[StageTap], caught: _Caught
) -> None:
    taps = {tap.place: (i, tap) for i, each in enumerate(stages) for tap in _all_taps(each)}

    def catch(name: str, call: int, _: nn.Module, __: Any, output: Any) -> None:
        if (name, call) not in taps:
            return
        index, tap = taps[name, call]
        maps = take_map(output, tap.path)
        if maps is None:
            return
        caught.stages[index] = _channels_first(maps, tap)
        caught.preactivation.pop(index, None)
        if stages[index].activations and caught.activated and caught.activated[0] is maps:
            caught.preactivation[index] = _channels_first(caught.activated[1], tap)

    hooks.enter_context(hooked(module, {name for name, _ in taps}, catch))


def _hook_classifier(hooks: ExitStack, module: nn.Module, tap: Tap, caught: _Caught) -> None:
    def catch(name: str, call: int, _: nn.Module, given: Any, __: Any) -> None:
        if (name, call) == tap.place:
            caught.embedding = _pooled(tap, given)

    hooks.enter_context(hooked(module, [tap.module], catch))


def _all_taps(stage: StageTap) -> tuple[Tap, ...]:
    return (*stage.earlier, stage.tap)


def _pooled(classifier: Tap, given: Tensor) -> Tensor:
    """The classifier's input as [B, D]: averaged over pixels or tokens where it has them."""
    if given.ndim == 4 and not classifier.channels_last:
        return given.mean(dim=(2, 3))
    return given if given.ndim == 2 else given.flatten(1, -2).mean(dim=1)


def _channels_first(maps: Tensor, tap: Tap) -> Tensor:
    return maps.permute(0, 3, 1, 2) if tap.channels_last else maps
