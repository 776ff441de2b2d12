"""Specs of searches whose trials are paused at rungs."""

from __future__ import annotations

import pytest

from kdsearch.spec import StudySpec, parse_spec
from tests.search.halved import WORDS


@pytest.fixture(params=["halving", "neighbours"])
def halving_spec(spec_text: str, request: pytest.FixtureRequest) -> StudySpec:
    return parse_spec(spec_text, [*WORDS, f"search.scheduler.name={request.param}"])
