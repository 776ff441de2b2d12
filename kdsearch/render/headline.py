"""A study in a line, from its spec alone."""

from __future__ import annotations

from collections.abc import Collection

from kdsearch.spec.study import StudySpec


def headline(spec: StudySpec) -> str:
    """What a study searches, in a line that needs no PyTorch."""
    families = list(dict.fromkeys(str(each.family) for each in spec.students))
    shown = ", ".join(families[:3]) + (f" and {len(families) - 3} more" if families[3:] else "")
    return (
        f"study {spec.study.name}: {spec.search.trials} trials over {_counted(spec.methods)} and "
        f"students of {shown}, data {spec.told_data}"
    )


def _counted(methods: Collection[str]) -> str:
    return "1 method" if len(methods) == 1 else f"{len(methods)} methods"
