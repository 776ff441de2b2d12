"""The importance of the searched parameters, and how it was found, for the page."""

from __future__ import annotations

from typing import Any

from kdsearch.errors import UserError
from kdsearch.results.study import Study
from kdsearch.search.importance import MIN_TRIALS, SHUFFLES, TOP, importance_table


def importances(study: Study) -> dict[str, Any]:
    """The rows of the table and the constants behind it.

    Where a method or metric of the user's own is not there to be asked what its parameters may be,
    ``problem`` tells so and there are no rows.
    """
    told = {"top": TOP, "min_trials": MIN_TRIALS, "shuffles": SHUFFLES, "problem": None}
    try:
        return told | {"rows": importance_table(study).to_dict("records")}
    except UserError as error:
        return told | {"rows": [], "problem": str(error)}
