"""No step of a method makes the host wait for the device, or moves anything between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kdsearch.methods import METHODS, Objective, Targets, method_config
from kdsearch.methods.base import WITHOUT_LOSS
from kdsearch.models.signals import Signals, SignalShapes
from tests.methods.maps import map_stages

SHAPES = SignalShapes(
    classes=7, embedding=6, features=map_stages((3, 8, 8), (4, 4, 4), (6, 2, 2)), linear_head=True
)
TEACHER = SignalShapes(
    classes=7, embedding=6, features=map_stages((4, 9, 9), (5, 4, 4), (8, 3, 3)), linear_head=True
)
BATCH, SAMPLES = 6, 40
DEVICE = "meta"
"""The device without values: whoever asks for one, as a synchronisation would, is refused."""

TRAINABLE = sorted(name for name, method in METHODS.items() if method.kind not in WITHOUT_LOSS)


class OnDevice(TorchDispatchMode):
    """Refuses every operation that reads or makes a tensor of the host."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in _tensors((args, kwargs, found)):
            assert tensor.device.type == DEVICE, f"{func} works on a tensor of the host"
        return found


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The objective turns it off, and this device has none."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def _tensors(held: Any) -> Iterator[Tensor]:
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, Signals):
        yield from _tensors(list(vars(held).values()))
    elif isinstance(held, Mapping):
        yield from _tensors(list(held.values()))
    elif isinstance(held, list | tuple):
        for each in held:
            yield from _tensors(each)


def _signals(shapes: SignalShapes, requires_grad: bool) -> Signals:
    def leaf(*size: int) -> Tensor:
        return torch.randn(BATCH, *size, device=DEVICE, requires_grad=requires_grad)

    maps = [tuple(leaf(*shape) for shape in shapes.maps) for _ in range(2)]
    attention = tuple(leaf(*shape[1:]) for shape in shapes.maps)
    return Signals(
        leaf(shapes.classes),
        leaf(shapes.embedding),
        maps[0],
        attention,
        maps[1],
        strong=Signals(leaf(shapes.classes)),
    )


def _labels() -> Tensor:
    return torch.zeros(BATCH, dtype=torch.long, device=DEVICE)


def _step(name: str, progress: float, training: bool, mixup: bool) -> set[str]:
    """The devices of a step's loss and of the gradients that it leaves at the student."""
    objective = Objective(method_config(name, {}), SHAPES, TEACHER).to(DEVICE).train(training)
    if name == "crd":
        term = cast(Any, objective.terms[name])
        term.prepare(None, None, SAMPLES)
    partner, share = (_labels(), torch.rand(BATCH, device=DEVICE)) if mixup else (None, None)
    domain = _labels().bool() if METHODS[name].adapts else None
    targets = Targets(_labels(), partner, share, index=_labels(), domain=domain)
    student, teacher = _signals(SHAPES, True), _signals(TEACHER, False)
    with OnDevice():
        loss = objective(student, teacher, {"label": targets}, progress)["loss"]
        loss.backward()
    leaves = list(_tensors(student))
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert gradients
    return {each.device.type for each in (loss, *gradients)}


@pytest.mark.parametrize("progress", [0.0, 0.5])
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_step_stays_on_the_device(name: str, progress: float) -> None:
    assert _step(name, progress, training=True, mixup=name != "crd") == {DEVICE}


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_loss_in_evaluation_stays_on_the_device(name: str) -> None:
    assert _step(name, 0.5, training=False, mixup=False) == {DEVICE}


@pytest.mark.parametrize(
    "fault",
    [
        lambda values: values.sum().item(),
        lambda values: values * float(values.mean()),
        lambda values: values if values.sum() > 0 else -values,
        lambda values: values.nonzero(),
        lambda values: values[values > 0],
        lambda values: values.tolist(),
        lambda values: values.cpu(),
        lambda values: values * torch.tensor(2.0),
        lambda values: torch.tensor([1.0, 2.0]).to(DEVICE),
    ],
    ids=["item", "float", "if", "nonzero", "mask", "tolist", "cpu", "scalar", "to"],
)
def test_what_would_wait_is_found(fault: Any) -> None:
    fault(torch.randn(4))
    values = torch.randn(4, device=DEVICE)
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), OnDevice():
        fault(values)
