"""The importance of hyperparameters as a table."""

from __future__ import annotations

import pandas as pd

from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.search.importance import MIN_TRIALS, SHUFFLES, TOP

CLEAR = "*"
"""Stands after an importance that is above what chance gives."""


def importance_view(table: pd.DataFrame, width: int | None, title: str) -> Layout:
    """A row for each parameter of which enough trials have a value, a column for each objective."""
    told = table[table["importance"].notna()]
    objectives = list(dict.fromkeys(table["objective"]))
    rows = {(row["parameter"], row["objective"]): row for row in told.to_dict("records")}
    parameters = list(dict.fromkeys(told["parameter"]))

    def cells(objective: str) -> list[str]:
        own = [rows[parameter, objective] for parameter in parameters]
        return [f"{row['importance']:.3f}{CLEAR if row['clear'] else ' '}" for row in own]

    trials = [str(rows[parameter, objectives[0]]["trials"]) for parameter in parameters]
    columns = [Column(each, cells(each), place) for place, each in enumerate(objectives)]
    first = [Column("parameter", parameters, right=False, least=20), Column("trials", trials, 1)]
    return fitted([*first, *columns], width, title)


def importance_note(table: pd.DataFrame) -> str:
    """How the figures of :func:`importance_view` came about, and of what nothing can be told."""
    few = table[table["importance"].isna()].drop_duplicates("parameter")
    left = ", ".join(f"{row['parameter']} ({row['trials']})" for row in few.to_dict("records"))
    return (
        f"Optuna's PED-ANOVA: how far the best {TOP:.0%} of the trials lie in another part of a "
        f"parameter's range than all do, among the complete trials that have it; {CLEAR} above "
        f"each of {SHUFFLES} shuffles of the scores"
        + (f"; fewer than {MIN_TRIALS} trials, so nothing is told: {left}" if left else "")
    )
