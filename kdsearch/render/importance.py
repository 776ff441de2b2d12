"""The importance of hyperparameters as a table."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from kdsearch.render.tables import plain_table
from kdsearch.search.importance import MIN_TRIALS, SHUFFLES, TOP

CLEAR = "*"
"""Stands after an importance that is above what chance gives."""


def importance_view(table: pd.DataFrame, title: str) -> Table:
    """A row for each parameter of which enough trials have a value, a column for each objective."""
    told = table[table["importance"].notna()]
    objectives = list(dict.fromkeys(table["objective"]))
    view = plain_table(
        "parameter", "trials", *objectives, title=title, right=("trials", *objectives)
    )
    rows = {(row["parameter"], row["objective"]): row for row in told.to_dict("records")}
    for parameter in dict.fromkeys(told["parameter"]):
        own = [rows[parameter, objective] for objective in objectives]
        cells = [f"{row['importance']:.3f}{CLEAR if row['clear'] else ' '}" for row in own]
        view.add_row(parameter, str(own[0]["trials"]), *cells)
    return view


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
