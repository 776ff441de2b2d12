"""Sample trials of a space as a table."""

from __future__ import annotations

import pytest

from kdsearch.render.plan import samples_view
from kdsearch.results.record import TrialRecord
from kdsearch.spec import MethodConfig, TermConfig
from tests.records import trial
from tests.render.reading import shown


def taught(number: int, by: str) -> TrialRecord:
    terms = (TermConfig(name="kd", hyperparameters={"weight": 2.5}),)
    made = trial(number, 0.5, 1000 * (number + 1))
    method = MethodConfig(label="kd", terms=terms)
    task = made.task.model_copy(update={"method": method, "teacher": by})
    return made.model_copy(update={"task": task})


@pytest.mark.parametrize("width", [80, 100])
def test_samples_name_their_values_and_sizes(width: int) -> None:
    records = [taught(n, name) for n, name in enumerate(("small", "large"))]
    (table,) = samples_view(records, width).tables
    text = shown(table, width)
    assert len(text.splitlines()) == 2 + len(records)
    assert all(word in text for word in ("taught by", "small", "large", "weight 2.5", "2,000"))
    (table,) = samples_view([taught(2, "teacher")], width).tables
    assert "taught by" not in shown(table, width)
