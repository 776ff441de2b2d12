"""A study in a line, from its spec alone."""

from __future__ import annotations

from collections.abc import Collection

from kdsearch.spec.study import StudySpec


def headline(spec: StudySpec) -> str:
    """What a study searches, in a line that needs no PyTorch."""
    families = list(dict.fromkeys(str(each.family) for each in spec.students))
    shown = ", ".join(families[:3]) + (f" and {len(families) - 3} more" if families[3:] else "")
    ways = f", {_counted(spec.ways, 'way')}" if spec.has_ways else ""
    return (
        f"study {spec.study.name}: {spec.search.trials} trials over "
        f"{_counted(spec.methods, 'method')}{ways} and students of {shown}, data {spec.told_data}"
    )


def _counted(names: Collection[str], what: str) -> str:
    return f"{len(names)} {what}{'s' * (len(names) > 1)}"
