"""The ways to a small model, for a person."""

from __future__ import annotations

from kdsearch.render.catalogue import Facts, authors, with_plugins
from kdsearch.render.catalogue_file import kept
from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.spec.ways import NO_WAY

_WAYS = "kdsearch.ways"
"""Entry-point group of installed plug-ins."""


def ways_view(width: int | None = None) -> Layout:
    """Every way: what it does, its values with published defaults and ranges, and its paper."""
    rows = [(NO_WAY, "the student as it is", "", "")]
    for name, facts in _known()[0].items():
        told = [f"{own} {default}; {search}" for own, default, search, _ in facts["values"]]
        first, *others = told or [""]
        rows.append((name, facts["told"], first, authors(facts["paper"])))
        rows += [("", "", value, "") for value in others]
    names, about, values, papers = zip(*rows, strict=True)
    columns = (
        Column("way", names, right=False),
        Column("what it does", about, 1, right=False, least=18),
        Column("published; searched", values, 2, right=False),
        Column("paper", papers, 3, right=False, least=14),
    )
    return fitted(columns, width)


def ways_notes() -> list[str]:
    """What sums there are, and why installed plug-ins cannot be used."""
    by_change: dict[str, list[str]] = {}
    for name, facts in kept()["ways"].items():
        by_change.setdefault(facts["facts"]["changes"], []).append(name)
    parts = "; ".join(f"{changes}: {', '.join(names)}" for changes, names in by_change.items())
    note = f"a sum, such as low_rank+quantize, has at most one that changes each of these: {parts}"
    return [note, *(f"{name}: {reason}" for name, reason in _known()[1].items())]


def find_way_facts(name: str) -> Facts:
    """What there is to tell of a way, by its name in the spec.

    Raises:
        ModelError: There is none of that name, or what is there is no complete way.
    """
    if name in kept()["ways"]:
        facts: Facts = kept()["ways"][name]
        return facts
    from kdsearch.render.offered import way_facts
    from kdsearch.ways import find_way

    return way_facts(find_way(name))


def _known() -> tuple[dict[str, Facts], dict[str, str]]:
    return with_plugins(kept()["ways"], _WAYS, find_way_facts)
