"""Which logits are taken of a network that returns more than them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models import Signal, of_images
from kdsearch.models.taps.tapped import TappedNetwork

SHAPE = (3, 8, 8)


class Named(NamedTuple):
    logits: Tensor
    aux_logits: Tensor


class Returning(nn.Module):
    """Two heads behind one convolution, returned in a form of choice."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.early = nn.Linear(4, 5)
        self.fc = nn.Linear(4, 5)
        self.form = form

    def forward(self, images: Tensor) -> Any:
        features = self.conv(images).mean(dim=(2, 3))
        early, main = self.early(features), self.fc(features)
        return {
            "logits": {"aux": early, "logits": main},
            "out": {"out": main, "aux": early},
            "only": {"features": features, "y": main},
            "aux": {"aux_head": early, "head": main},
            "features first": (features, main),
            "logits first": (main, features),
            "exits": [early, main],
            "exits in a tuple": (early, main),
            "main first": (main, early),
            "named": Named(main, early),
            "nested": {"heads": [early, main], "features": features},
        }[self.form]


FORMS = [
    "logits",
    "out",
    "only",
    "aux",
    "features first",
    "logits first",
    "exits",
    "exits in a tuple",
    "main first",
    "named",
    "nested",
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_the_main_logits_are_taken(form: str, training: bool) -> None:
    model = Returning(form)
    network = TappedNetwork(model, "test", of_images(SHAPE), 5).train(training)
    images = torch.randn(3, *SHAPE)
    features = model.conv(images).mean(dim=(2, 3))
    assert torch.equal(network(images), model.fc(features))
    signals = network.observe({"image": images}, {Signal.EMBEDDING})
    assert torch.equal(signals.logits, model.fc(features))
    assert torch.equal(signals.embedding, features)
    assert network.taps.classifier.module == "fc"


class Undecided(nn.Module):
    """Logits of one depth, of which neither has a name that tells."""

    def __init__(self, form: type) -> None:
        super().__init__()
        self.fc = nn.Linear(192, 5)
        self.form = form

    def forward(self, images: Tensor) -> Any:
        logits = self.fc(images.flatten(1))
        one, other = logits * 2, logits * 3
        return {"a": one, "b": other} if self.form is dict else (one, other)


@pytest.mark.parametrize("form", [dict, tuple])
def test_what_cannot_be_decided_is_refused(form: type) -> None:
    with pytest.raises(ModelError, match=r"mine returns 2 outputs of 5 values .* as 'logits'$"):
        TappedNetwork(Undecided(form), "mine", of_images(SHAPE), 5)


def test_a_dictionary_without_logits_is_told_by_its_entries() -> None:
    class Features(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"x": images.flatten(1)}

    with pytest.raises(ModelError, match=r"returns dict of x \[2, 192\]; it must give logits"):
        TappedNetwork(Features(), "mine", of_images(SHAPE), 5)


class OtherInTraining(nn.Module):
    """Auxiliary logits behind the main ones, or exits, in training alone."""

    def __init__(self, exits: bool) -> None:
        super().__init__()
        self.early, self.fc = nn.Linear(192, 5), nn.Linear(192, 5)
        self.exits = exits

    def forward(self, images: Tensor) -> Any:
        pixels = images.flatten(1)
        early, main = self.early(pixels), self.fc(pixels)
        if not self.training:
            return main
        return [early, main] if self.exits else (main, early)


@pytest.mark.parametrize("exits", [True, False])
def test_training_may_return_another_form(exits: bool) -> None:
    model = OtherInTraining(exits)
    network = TappedNetwork(model, "test", of_images(SHAPE), 5).train()
    images = torch.randn(3, *SHAPE)
    assert torch.equal(network(images), model.fc(images.flatten(1)))
