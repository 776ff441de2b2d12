"""How a training is divided into stages."""

from __future__ import annotations

import pytest

from kdsearch.errors import ModelError
from kdsearch.ways import make_ways, staging, way_configs
from kdsearch.ways.prune import Prune


@pytest.mark.parametrize(
    ("values", "epochs", "lengths", "widths"),
    [
        ({}, 10, [4, 6], [2, 1]),
        ({"factor": 4.0, "cuts": 2, "wide": 0.2}, 20, [4, 8, 8], [4, 2, 1]),
        ({"factor": 16.0, "cuts": 4, "wide": 0.5}, 15, [8, 1, 2, 2, 2], [16, 8, 4, 2, 1]),
        ({"wide": 0.95, "cuts": 1}, 2, [1, 1], [2, 1]),
        ({"wide": 0.95, "cuts": 4}, 6, [2, 1, 1, 1, 1], None),
    ],
)
def test_the_epochs_are_shared_out_and_each_cut_is_by_the_same_factor(
    values: dict[str, float], epochs: int, lengths: list[int], widths: list[float] | None
) -> None:
    stages = Prune(**values).stages(epochs)
    assert [stage.epochs for stage in stages] == lengths
    assert sum(lengths) == epochs
    if widths is not None:
        assert [stage.width for stage in stages] == pytest.approx(widths)
    assert stages[-1].width == 1.0


def test_too_short_a_training_is_refused() -> None:
    with pytest.raises(ModelError, match="with 4 cuts a training needs at least 5 epochs"):
        Prune(cuts=4).stages(4)
    with pytest.raises(ModelError, match="'cuts' must be a whole number"):
        Prune(cuts=1.5)


def test_it_comes_before_the_other_ways_of_a_sum() -> None:
    configs = way_configs("quantize+low_rank+prune", {"prune.factor": 3.0})
    assert [each.name for each in configs] == ["prune", "low_rank", "quantize"]
    found = staging(make_ways(configs))
    assert found is not None
    assert found.values["factor"] == 3.0
    assert staging(make_ways(configs[1:])) is None
