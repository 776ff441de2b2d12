"""How a study is told that has a target domain: its baseline is not adapted, its tests are two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.spec.domains import SOURCE
from kdsearch.spec.study import StudySpec

Content = Mapping[str, Any]
"""What ``front.json`` holds, as :func:`~kdsearch.results.front_file.front_content` makes it."""


def domains_of(spec: StudySpec) -> dict[str, str] | None:
    """The sources of both domains; ``None`` where there is one."""
    if spec.target is None:
        return None
    return {"source": spec.data.source, "target": spec.target.source}


def adapts(content: Content) -> bool:
    """Whether there is a target domain."""
    return content.get("domains") is not None


def worth(content: Content) -> str:
    """What the gains are those of."""
    return "adaptation" if adapts(content) else "distillation"


def alone(content: Content) -> str:
    """What a baseline is."""
    return "without adaptation" if adapts(content) else "undistilled"


def itself(content: Content) -> str:
    """What a student is that is a baseline."""
    return "not adapted" if adapts(content) else "undistilled"


def on_the_test(content: Content) -> str:
    """Where finalists are judged."""
    return "on the target's test" if adapts(content) else "on the test"


def source_score(content: Content) -> str:
    """The name of the objective's score on the source's test; empty without a target domain."""
    return f"{SOURCE}{content['objective']}" if adapts(content) else ""
