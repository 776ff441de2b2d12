"""Names of ways, and sums of them."""

from __future__ import annotations

import pytest

from kdsearch.errors import ModelError
from kdsearch.spec.concrete import WayConfig
from kdsearch.ways import (
    WAYS,
    Way,
    make_ways,
    parse_ways,
    way_configs,
    way_hyperparameters,
    way_label,
    way_names,
    way_values,
)


def test_sums_are_applied_in_one_order() -> None:
    for label in ("quantize+low_rank", "low_rank+quantize"):
        assert [way.name for way in parse_ways(label)] == ["low_rank", "quantize"]
    assert parse_ways("none") == ()
    assert way_names()[0] == "none"


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("sparse+quantize", "sparse and quantize both change how weights are stored; keep one"),
        ("low_rank+share", "low_rank and share both change the layers; keep one"),
        ("quantise", "unknown way 'quantise'; did you mean 'quantize'"),
        ("none+sparse", "'none' in a sum"),
        ("sparse+", "has an empty part"),
        ("builtins_of_mine:Way", "neither in"),
        ("tests.ways.networks:made", "is no kdsearch.ways.Way"),
        ("tests.ways.test_registry:Halved", "does not state its 'paper'"),
    ],
)
def test_wrong_labels_are_refused(label: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        parse_ways(label)


class Halved(Way):
    name, about, changes, hyperparameters = "halved", "halves", "weights", {}


class Doubled(Halved):
    name, paper = "doubled", "mine"


def test_values_have_published_defaults_and_the_ways_names() -> None:
    configs = way_configs("low_rank+quantize", {"quantize.bits": 4})
    assert configs == (
        WayConfig(name="low_rank", values={"rank": 0.5}),
        WayConfig(name="quantize", values={"bits": 4, "after": 0.5}),
    )
    assert [type(way) for way in make_ways(configs)] == [WAYS["low_rank"], WAYS["quantize"]]
    assert set(way_hyperparameters("share+sparse")) == {
        "share.blocks",
        "sparse.sparsity",
        "sparse.until",
    }
    assert set(way_hyperparameters("quantize")) == {"bits", "after"}
    (config,) = way_configs("quantize", {"bits": 3})
    assert config.values["bits"] == 3


def test_a_value_of_no_way_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'quantize' has no hyperparameter 'quantize.bits'"):
        way_configs("quantize", {"quantize.bits": 4})


def test_labels_and_values_are_those_of_the_spec() -> None:
    assert (way_label(()), way_values(())) == ("none", {})
    configs = way_configs("quantize+low_rank", {"quantize.bits": 4})
    assert way_label(configs) == "low_rank+quantize"
    assert way_values(configs) == {"low_rank.rank": 0.5, "quantize.bits": 4, "quantize.after": 0.5}
    assert way_values(way_configs("quantize", {})) == {"bits": 8, "after": 0.5}


def test_a_class_of_the_user_is_a_way() -> None:
    label = "tests.ways.test_registry:Doubled"
    (config,) = way_configs(label, {})
    assert config.name == label
    assert [way.name for way in make_ways([config])] == ["doubled"]


@pytest.mark.parametrize("way", WAYS.values())
def test_every_way_says_what_it_is(way: type[Way]) -> None:
    assert way.about
    assert way.paper
    for declared in way.hyperparameters.values():
        assert declared.fault(declared.default) is None
        assert declared.about
