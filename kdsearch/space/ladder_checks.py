"""Whether a ladder can be built: which students can be cut from which."""

from __future__ import annotations

import torch

from kdsearch.compression import check_cut
from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.models import build_network
from kdsearch.space.architectures import Architectures
from kdsearch.space.chains import Chain, chains, plain_recipe
from kdsearch.space.space import Space
from kdsearch.space.usable import Usable


def find_chains(
    space: Space, architectures: Architectures, data: Dataset
) -> tuple[list[Chain], list[str]]:
    """The chains of a study whose strategy is ``ladder``, found out by cutting a student of each.

    Returns:
        The chains; and which entries of ``students`` have none, in sentences.

    Raises:
        MissingExtraError: Torch-Pruning is not installed.
        SpecError: No entry has any.
    """
    spec = space.spec
    if spec.search.strategy != "ladder":
        return [], []
    every, told = chains(space, Usable(spec, architectures)), []
    reasons = {chain.student: why for chain in every if (why := _uncut(space, chain, data))}
    found = [chain for chain in every if chain.student not in reasons]
    for key in space.students:
        if any(chain.student == key for chain in found):
            continue
        why = reasons.get(key, f"{key} has no two widths within the limits")
        told.append(f"{why}; such students are in no chain, and searched by Optuna alone")
    if not found:
        raise spec.refuse(
            ("search", "strategy"), f"no ladder can be built: {told[0].partition(';')[0]}"
        )
    return found, told


def _uncut(space: Space, chain: Chain, data: Dataset) -> str:
    """Why the second student of a chain cannot be cut from the first; empty where it can."""
    models = [plain_recipe(space, chain, place)[0].model for place in (0, 1)]
    with torch.random.fork_rng(devices=[]):
        wide, narrow = (build_network(each, data.inputs, data.outputs) for each in models)
        try:
            check_cut(wide, narrow)
        except ModelError as error:
            return str(error)
    return ""
