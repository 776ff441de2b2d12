"""Limits as a person writes them, and quantities as they are told."""

from __future__ import annotations

import pytest

from kdsearch.errors import UserError
from kdsearch.results.limits import quantity, told, told_size


@pytest.mark.parametrize(
    ("text", "name", "unit", "value"),
    [
        ("1M", "parameters", None, 1e6),
        ("20k", "parameters", None, 20_000),
        ("10_895", "parameters", None, 10_895),
        ("1.5e4", "macs", None, 15_000),
        ("250kB", "bytes", None, 250_000),
        ("1MiB", "bytes", None, 2**20),
        ("64k", "compressed_bytes", None, 64_000),
        ("5ms", "latency", None, 5_000),
        ("250us", "latency", None, 250),
        ("0.002 s", "latency", None, 2_000),
        ("120", "latency", None, 120),
        ("97%", "retained", "%", 0.97),
        ("0.97", "accuracy", "%", 0.97),
        (".5", "ece", "%", 0.5),
        ("12.5", "rmse", "", 12.5),
        ("12.5mm", "rmse", "mm", 12.5),
    ],
)
def test_a_limit_is_read_in_its_unit(text: str, name: str, unit: str | None, value: float) -> None:
    assert quantity(text, name, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "name", "unit", "told_so"),
    [
        ("5ms", "parameters", None, "such as 20k or 1M"),
        ("1M", "latency", None, "such as 5ms or 250us"),
        ("", "bytes", None, "such as 250kB or 1MB"),
        ("-3", "parameters", None, "such as 20k or 1M"),
        ("97", "accuracy", "%", "write 97% or 0.97"),
        ("97 points", "accuracy", "%", "such as 97% or 0.97"),
        ("3cm", "rmse", "mm", "a number"),
    ],
)
def test_what_is_no_such_quantity_is_refused_with_an_example(
    text: str, name: str, unit: str | None, told_so: str
) -> None:
    with pytest.raises(UserError, match=told_so):
        quantity(text, name, unit)


def test_quantities_are_told_in_their_units() -> None:
    metrics = {"accuracy": {"unit": "%"}, "rmse": {"unit": "mm"}, "kappa": {"unit": ""}}
    content = {"metrics": metrics}
    assert told(content, "accuracy", 0.97312) == "97.31%"
    assert told(content, "retained", 1.0) == "100.00%"
    assert told(content, "rmse", 1.25) == "1.250 mm"
    assert told(content, "kappa", 0.5) == "0.500"
    assert told(content, "parameters", 10_895) == "10,895 parameters"
    assert told_size("macs", 72_538) == "72,538 MACs"
    assert told_size("bytes", 44_180) == "44.2 kB"
    assert told_size("bytes", 999) == "999 bytes"
    assert told_size("latency", 180.4) == "180 µs"
    assert told_size("int8_latency", 5_230) == "5.23 ms"
