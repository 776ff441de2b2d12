"""Reading the stage maps and the embedding of an arbitrary module at named places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import ModelError

Hook = Callable[[str, int, nn.Module, Any, Any], None]
"""Called with a module's name, the number of this call of it in the forward pass, the module, its
first input, and its output."""


@dataclass(frozen=True)
class Tap:
    """One call of one module in a forward pass.

    Attributes:
        module: Dotted name of the module.
        call: Which of the module's calls, from 0; a ReLU may serve several places.
        channels_last: Whether the map is [B, H, W, C].
    """

    module: str
    call: int
    channels_last: bool = False


@dataclass(frozen=True)
class Taps:
    """Where the signals of a module are read.

    Attributes:
        stages: Calls whose outputs are the stage maps, shallow to deep.
        classifier: The call whose input, pooled, is the embedding.
    """

    stages: tuple[Tap, ...]
    classifier: Tap


def main_logits(output: Any) -> Any:
    """The main logits of a module that may answer with auxiliary ones beside them."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, Sequence) and output else output


@contextmanager
def hooked(module: nn.Module, names: Sequence[str], hook: Hook) -> Iterator[None]:
    """Call ``hook`` after each call of the named submodules, within this context and thread."""
    handles = []
    thread = get_ident()
    for name in names:
        calls = count()

        def after(
            part: nn.Module,
            args: tuple,
            kwargs: dict[str, Any],
            output: Any,
            name: str = name,
            calls: Iterator[int] = calls,
        ) -> None:
            if get_ident() != thread:
                return
            inputs = (*args, *kwargs.values())
            hook(name, next(calls), part, inputs[0] if inputs else None, output)

        part = module.get_submodule(name)
        handles.append(part.register_forward_hook(after, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def read(
    module: nn.Module, taps: Taps, pictures: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Logits [B, K], embedding [B, D] and stage maps [B, C, H, W] of one forward pass.

    Raises:
        ModelError: A tapped module was not called this time.
    """
    caught: dict[tuple[str, int], Tensor] = {}
    places = {(tap.module, tap.call) for tap in taps.stages}
    classifier = (taps.classifier.module, taps.classifier.call)
    embeddings: list[Tensor] = []

    def catch(name: str, call: int, part: nn.Module, given: Any, output: Any) -> None:
        if (name, call) in places:
            caught[name, call] = output
        if (name, call) == classifier:
            embeddings.append(_pooled(part, given))

    names = sorted({name for name, _ in (*places, classifier)})
    with hooked(module, names, catch):
        logits = main_logits(module(pictures))
    if len(caught) < len(places) or not embeddings:
        raise ModelError(
            f"{type(module).__name__} does not call the same layers in every forward pass, so its "
            "inner signals cannot be read; return a kdsearch.models.Network instead"
        )
    features = tuple(_channels_first(caught[tap.module, tap.call], tap) for tap in taps.stages)
    return logits, embeddings[0], features


def _pooled(classifier: nn.Module, given: Tensor) -> Tensor:
    """The classifier's input as [B, D]: averaged over pixels or tokens where it has them."""
    if given.ndim == 2:
        return given
    if given.ndim == 4 and not isinstance(classifier, nn.Linear):
        return given.mean(dim=(2, 3))
    return given.flatten(1, -2).mean(dim=1)


def _channels_first(maps: Tensor, tap: Tap) -> Tensor:
    return maps.permute(0, 3, 1, 2) if tap.channels_last else maps
