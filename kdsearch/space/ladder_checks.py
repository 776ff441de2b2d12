"""Whether a ladder can be built: which students can be cut from which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

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
    space: Space,
    architectures: Architectures,
    data: Dataset,
    begun: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[list[Chain], list[str]]:
    """The chains of a study whose strategy is ``ladder``, found out by cutting a student of each.

    Args:
        space: The study's.
        architectures: Tells which students are within the limits.
        data: The study's.
        begun: The fields of the chains with which the study began, which it keeps.

    Returns:
        The chains; and of which entries of ``students`` none can be cut, in sentences.

    Raises:
        SpecError: No student can be cut, though they are to be.
    """
    spec = space.spec
    if spec.search.strategy != "ladder":
        return [], []
    every = [Chain.of(fields) for fields in begun or ()]
    every = every or chains(space, Usable(spec, architectures))
    if not spec.search.ladder.chains:
        return [replace(chain, cut=False) for chain in every], []
    reasons = {chain: _uncut(space, chain, data) for chain in every}
    found = [replace(chain, cut=not why) for chain, why in reasons.items()]
    if not any(chain.cut for chain in found):
        why = next(iter(reasons.values()), "there are no students within the limits")
        raise spec.refuse(
            ("search", "strategy"),
            f"no student can be cut from another: {why}; set search.ladder.chains: false to train "
            "each in full",
        )
    told = []
    for key in space.students:
        own = [chain for chain in found if chain.student == key]
        if own and not any(chain.cut for chain in own):
            why = next(why for chain, why in reasons.items() if chain.student == key)
            told.append(f"{why}; each of these students is trained in full")
    return found, told


def _uncut(space: Space, chain: Chain, data: Dataset) -> str:
    """Why the second student of a chain cannot be cut from the first; empty where it can."""
    if len(chain.widths) == 1:
        return f"{chain.student} has no two widths within the limits"
    models = [
        plain_recipe(space, chain, place)[0].model.model_copy(update={"ways": ()})
        for place in (0, 1)
    ]
    with torch.random.fork_rng(devices=[]):
        wide, narrow = (build_network(each, data.inputs, data.outputs) for each in models)
        try:
            check_cut(wide, narrow, space.students[chain.student].importance[0])
        except ModelError as error:
            return str(error)
    return ""
