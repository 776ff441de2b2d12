"""Dimensions of the space with bounds: positive numbers, shares, whole numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kdsearch.spec.ranges import Dimension, Range, every


def _positive(dimension: Any) -> Any:
    for value in every(dimension):
        if value <= 0:
            raise ValueError(f"must be above 0, not {value:g}")
    return dimension


def _not_negative(dimension: Any) -> Any:
    for value in every(dimension):
        if value < 0:
            raise ValueError(f"must be at least 0, not {value:g}")
    return dimension


def _below_one(dimension: Any) -> Any:
    for value in every(dimension):
        if value >= 1:
            raise ValueError(f"must be below 1, not {value:g}")
    return dimension


def _whole(dimension: Any) -> Any:
    steps = (dimension.step,) if isinstance(dimension, Range) and dimension.step else ()
    for value in (*every(dimension), *steps):
        if value != int(value) or value < 1:
            raise ValueError(f"must be a whole number of at least 1, not {value:g}")
    return dimension


def _side(dimension: Any) -> Any:
    for value in every(_whole(dimension)):
        if value < 4:
            raise ValueError(f"must be at least 4 pixels, not {value:g}")
    return dimension


def _told(values: str) -> Any:
    """The bound of a dimension in the schema, from which the page on the keys is written."""
    return Field(json_schema_extra={"values": values})


PositiveDimension = Annotated[Dimension, AfterValidator(_positive), _told("above 0")]
NotNegativeDimension = Annotated[Dimension, AfterValidator(_not_negative), _told("at least 0")]
ShareDimension = Annotated[
    Dimension,
    AfterValidator(_not_negative),
    AfterValidator(_below_one),
    _told("at least 0 and below 1"),
]
WholeDimension = Annotated[Dimension, AfterValidator(_whole), _told("whole, at least 1")]
SideDimension = Annotated[Dimension, AfterValidator(_side), _told("whole, at least 4")]
