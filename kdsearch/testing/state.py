"""What a method keeps: every helper in its state, nothing in its class or in a network."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.methods import Method
from kdsearch.spec.ranges import every
from kdsearch.testing.material import PROGRESS, Pair
from kdsearch.testing.subject import Bench, Subject, evaluate

_CONTAINERS = (dict, list, set, bytearray)


class StateTests(Subject):
    """Registration, saving and restoring of helpers; no state outside the instance."""

    def test_helpers_are_registered(self, pair: Pair) -> None:
        """No tensor or layer hides from PyTorch, and none is a part of either network."""
        bench = self.bench(pair)
        for part in bench.method.modules():
            for name, held in _attributes(part):
                assert not any(isinstance(value, Tensor | nn.Module) for value in _within(held)), (
                    f"'{name}' holds a plain tensor or layer, which is neither saved nor moved to "
                    "the device; use nn.Parameter, register_buffer or nn.ModuleList"
                )
        own = {id(value) for value in _tensors(bench.method)}
        for who, network in (("student", bench.student), ("teacher", bench.teacher)):
            assert own.isdisjoint(id(value) for value in _tensors(network)), (
                f"the method registers weights of the {who}; keep a copy"
            )

    def test_helpers_are_saved_and_restored(self, pair: Pair) -> None:
        """A method made with another seed has, given the saved state, the same loss."""
        bench, fresh = self.bench_with_loss(pair), self.bench(pair, seed=2)
        _train(bench)
        file = io.BytesIO()
        torch.save(bench.method.state_dict(), file)
        file.seek(0)
        fresh.method.load_state_dict(torch.load(file, weights_only=True))
        assert _values(fresh) == _values(bench), (
            "the restored method has another loss; register all that it has learned"
        )

    def test_instances_share_nothing(self, pair: Pair) -> None:
        """A second instance with other values, even trained, leaves the first and the class."""
        cls = self.find()
        before = _class_state(cls)
        one = self.bench(pair)
        values = _values(one)
        given = dict(one.method.values)
        other = self.bench(pair, seed=2, hyperparameters=_other_values(cls))
        _train(other)
        assert _class_state(cls) == before, "an instance changes its class; set it on 'self'"
        assert one.method.values == given, "an instance changes another's hyperparameters"
        assert _values(one) == values, "an instance changes another's loss"
        assert _mutable(one.method).isdisjoint(_mutable(other.method)), (
            "two instances hold the same object; make each its own in __init__"
        )


def _values(bench: Bench) -> list[dict[str, float]]:
    """The parts at every time."""
    if not bench.method.signals:
        return []
    signals = bench.signals(torch.float32)
    return [
        {name: float(value.detach()) for name, value in bench.parts(*signals, progress).items()}
        for progress in PROGRESS
    ]


def _train(bench: Bench) -> None:
    """Two steps of the helpers; what a method remembers of a batch it then remembers."""
    if not bench.method.signals:
        return
    parameters = [p for p in bench.method.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.01) if parameters else None
    for progress in (0.0, 0.5):
        parts = evaluate(bench.method, *bench.signals(torch.float32), progress)
        total = torch.stack(list(parts.values())).sum()
        if optimizer is not None and total.requires_grad:
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


def _other_values(cls: type[Method]) -> dict[str, float]:
    """For every hyperparameter that is searched, a value that is not the default."""
    searched = {
        name: (declared.default, every(declared.search))
        for name, declared in cls.hyperparameters.items()
        if declared.search is not None
    }
    return {
        name: next(float(value) for value in values if value != default)
        for name, (default, values) in searched.items()
        if any(value != default for value in values)
    }


def _class_state(cls: type[Method]) -> dict[str, str]:
    """Every attribute of the class and of the classes it derives from, and what is in it."""
    return {
        f"{part.__qualname__}.{name}": f"{id(value)} {value!r}"
        for part in cls.__mro__
        if issubclass(part, Method)
        for name, value in vars(part).items()
        if not name.startswith("__")
    }


def _mutable(method: nn.Module) -> set[int]:
    """Identities of all that an instance could change: tensors, modules and containers."""
    found = {id(value) for value in _tensors(method)} | {id(part) for part in method.modules()}
    for part in method.modules():
        held = [value for _, value in _attributes(part)]
        found |= {id(v) for value in held for v in _within(value) if isinstance(v, _CONTAINERS)}
    return found


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _attributes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """The attributes of a module beside those that ``nn.Module`` keeps in it."""
    plain = vars(nn.Module())
    return ((name, value) for name, value in vars(part).items() if name not in plain)


def _within(held: Any) -> Iterator[Any]:
    """A value and, if it is a container, all within it."""
    yield held
    inner = held.values() if isinstance(held, Mapping) else held
    if isinstance(held, Mapping | list | tuple | set | frozenset):
        for value in inner:
            yield from _within(value)
