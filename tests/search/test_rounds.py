"""The rounds of a ladder: their ends, and what the settings have of each."""

from __future__ import annotations

import pytest

from kdsearch.search.rounds import epochs_of_settings, round_end, settings_share
from kdsearch.spec import StudySpec, parse_spec

EPOCHS = 10


def ladder(text: str, trials: int, length: int = 8, settings: float = 0.4) -> StudySpec:
    words = [
        "search.strategy=ladder",
        f"search.trials={trials}",
        f"search.ladder.round={length}",
        f"search.ladder.settings={settings}",
        f"training.epochs={EPOCHS}",
    ]
    return parse_spec(text, words)


@pytest.mark.parametrize(
    ("trials", "ends"),
    [
        (5, [5]),
        (8, [8]),
        (15, [15]),  # a round that would leave little takes the rest
        (16, [8, 16]),
        (60, [8, 16, 24, 32, 40, 48, 60]),
    ],
)
def test_rounds_are_of_one_length(spec_text: str, trials: int, ends: list[int]) -> None:
    spec, found = ladder(spec_text, trials), [0]
    while found[-1] < trials * EPOCHS:
        found.append(round_end(found[-1], spec))
    assert found[1:] == [EPOCHS * end for end in ends]


def test_later_rounds_give_the_settings_half_of_their_share(spec_text: str) -> None:
    spec = ladder(spec_text, 60)
    assert settings_share(0, spec) == settings_share(79, spec) == 0.4
    assert settings_share(80, spec) == settings_share(480, spec) == 0.2


@pytest.mark.parametrize(("trials", "epochs"), [(5, 20), (15, 60), (60, 0.4 * 80 + 0.2 * 520)])
def test_epochs_of_settings_are_those_of_all_rounds(
    spec_text: str, trials: int, epochs: float
) -> None:
    assert epochs_of_settings(ladder(spec_text, trials)) == pytest.approx(epochs)
