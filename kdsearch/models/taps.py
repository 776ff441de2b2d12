"""Reading the stage maps and the embedding of an arbitrary module at named places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.signals import Trace

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
    """

    module: str
    call: int
    channels_last: bool = False

    @property
    def place(self) -> Place:
        """The call without how its output is read."""
        return self.module, self.call


@dataclass(frozen=True)
class Taps:
    """Where the signals of a module are read.

    Attributes:
        stages: Calls whose outputs are the stage maps, shallow to deep.
        classifier: The call whose input, pooled, is the embedding.
        closing: For each stage the call of the activation whose very output the stage map is;
            ``None`` where a stage ends in none, or in a function that is no module.
    """

    stages: tuple[Tap, ...]
    classifier: Tap
    closing: tuple[Tap | None, ...]


def main_logits(output: Any) -> Any:
    """The main logits of a module that may return auxiliary ones beside them."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, Sequence) and output else output


@contextmanager
def hooked(
    module: nn.Module, names: Sequence[str], hook: Hook, before: bool = False
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


def read(module: nn.Module, taps: Taps, images: Tensor) -> Trace:
    """Everything that one forward pass of images [B, C, H, W] shows.

    A closing activation's input stands for the stage before its activation; where the activation
    works in place, a copy of it. A stage without a closing activation stands for itself.

    Raises:
        ModelError: A tapped module was not called this time.
    """
    caught: dict[Place, Tensor] = {}
    entering: dict[Place, Tensor] = {}
    stages = {tap.place for tap in taps.stages}
    closing = {tap.place for tap in taps.closing if tap is not None}
    embeddings: list[Tensor] = []

    def catch_input(name: str, call: int, part: nn.Module, given: Any, _: Any) -> None:
        if (name, call) in closing:
            entering[name, call] = given.clone() if getattr(part, "inplace", False) else given

    def catch(name: str, call: int, _: nn.Module, given: Any, output: Any) -> None:
        if (name, call) in stages:
            caught[name, call] = output
        if (name, call) == taps.classifier.place:
            embeddings.append(_pooled(taps.classifier, given))

    names = _names({*stages, taps.classifier.place})
    with hooked(module, names, catch), hooked(module, _names(closing), catch_input, before=True):
        logits = main_logits(module(images))
    if len(caught) < len(stages) or len(entering) < len(closing) or not embeddings:
        raise ModelError(
            f"{type(module).__name__} does not call the same layers in every forward pass, so its "
            "inner signals cannot be read; return a kdsearch.models.Network instead"
        )
    features = tuple(_channels_first(caught[tap.place], tap) for tap in taps.stages)
    preactivation = tuple(
        stage if end is None else _channels_first(entering[end.place], tap)
        for stage, tap, end in zip(features, taps.stages, taps.closing, strict=True)
    )
    return Trace(logits, embeddings[0], features, preactivation)


def _names(places: set[Place]) -> list[str]:
    return sorted({name for name, _ in places})


def _pooled(classifier: Tap, given: Tensor) -> Tensor:
    """The classifier's input as [B, D]: averaged over pixels or tokens where it has them."""
    if given.ndim == 4 and not classifier.channels_last:
        return given.mean(dim=(2, 3))
    return given if given.ndim == 2 else given.flatten(1, -2).mean(dim=1)


def _channels_first(maps: Tensor, tap: Tap) -> Tensor:
    return maps.permute(0, 3, 1, 2) if tap.channels_last else maps
