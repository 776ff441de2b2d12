"""kdsearch's ways pass the suite for ways, and wrong ways do not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.testing import WayConformance
from kdsearch.ways import WAYS, Stage, Way
from kdsearch.ways.quantize import Quantize

pytest_plugins = ["pytester"]


class TestPrune(WayConformance):
    way = "prune"


class TestLowRank(WayConformance):
    way = "low_rank"


class TestShare(WayConformance):
    way = "share"


class TestSparse(WayConformance):
    way = "sparse"


class TestTwoOfFour(WayConformance):
    way = "two_of_four"


class TestCodebook(WayConformance):
    way = "codebook"
    values = {"entries": 4}


class TestQuantize(WayConformance):
    way = "quantize"
    values = {"bits": 4}


class Narrow(Quantize):
    """A user's own: weights of 8 bits, found by the suite wherever it stands."""

    name = "narrow"


class TestOwn(WayConformance):
    way = Narrow


def test_every_way_is_held_to_the_suite() -> None:
    held = {cls.way for cls in WayConformance.__subclasses__() if isinstance(cls.way, str)}
    assert held == set(WAYS)


class Larger(Narrow):
    """Says fewer bytes than it stores."""

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        return super().packed_bytes(shape, bytes_each) - 1


class Lossy(Narrow):
    """Does not read what it stored."""

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        return super().unpack(parts, shape) * 1.001


class Stopped(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.detach()


class Dead(Narrow):
    """Lets no gradient through."""

    def form(self, shape: torch.Size) -> nn.Module:
        return Stopped()

    def step(self, network: nn.Module, done: int, total: int) -> None:
        pass

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        return {"whole": weight.to(dtype)}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        return parts["whole"].float()

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        return torch.Size(shape).numel() * bytes_each


class Nothing(Way):
    """Refuses no student and changes nothing."""

    name, about, paper, changes = "nothing", "nothing", "our own", "layers"
    hyperparameters = {}


class AsWide(Nothing):
    """Begins with no more channels than the student has."""

    name, changes = "as_wide", "start"

    def stages(self, epochs: int) -> list[Stage]:
        return [Stage(1.0, 1), Stage(1.0, epochs - 1)]


class Picky(Nothing):
    """Refuses every student."""

    name = "picky"

    def check(self, network: nn.Module) -> None:
        raise ModelError("picky: no")


@pytest.mark.parametrize(
    ("way", "test", "told"),
    [
        (Larger, "test_the_size_is_known_before_the_training", "packed_bytes says"),
        (Lossy, "test_stored_weights_are_read_to_the_bit", "let unpack undo pack"),
        (Dead, "test_all_that_is_trained_moves", "let the gradient pass"),
        (Nothing, "test_it_makes_something_of_a_student", "let check refuse it"),
        (AsWide, "test_it_makes_something_of_a_student", "no wider than the student"),
        (Picky, "test_it_makes_something_of_a_student", "no student is accepted"),
    ],
)
def test_a_wrong_way_is_told_what_is_wrong(
    pytester: pytest.Pytester, way: type[Way], test: str, told: str
) -> None:
    pytester.makepyfile(
        test_wrong=f"""
        from kdsearch.testing import WayConformance
        from tests.ways.test_conformance import {way.__name__}

        class TestWrong(WayConformance):
            way = {way.__name__}
        """
    )
    found = pytester.runpytest_inprocess("-k", f"TestWrong and {test}", "-p", "no:cacheprovider")
    assert found.parseoutcomes().get("failed", 0) >= 1
    assert told in " ".join(found.stdout.str().split())
