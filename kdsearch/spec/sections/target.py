"""``target``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kdsearch.spec.sections.data import share_or_count
from kdsearch.spec.sections.source import SourceSection
from kdsearch.spec.wording import instead


def _none_some_or_all(value: Any) -> Any:
    if isinstance(value, str):
        if value != "all":
            raise ValueError(f"must be all, a share below 1 or a whole number{instead(value)}")
        return value
    return 0 if value == 0 and not isinstance(value, bool) else share_or_count(value)


class TargetSection(SourceSection):
    """``target``: data of another domain, in which the students will be used."""

    labels: Annotated[
        int | float | Literal["all"],
        BeforeValidator(_none_some_or_all),
        Field(json_schema_extra={"values": "0, a share below 1, a whole number, or all"}),
    ] = 0
    """Share, or whole number, of the training samples of the target that keep their targets. They
    are drawn class by class by ``seed``, at least one of each class. 0: none does."""
