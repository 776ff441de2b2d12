"""What a study says of a target domain: refused early where it contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kdsearch.errors import DataError, SpecError
from kdsearch.space.checks import make_plan
from kdsearch.spec.load import parse_spec
from tests.two_domains import SOURCE, sections


def refusal(given: dict[str, Any]) -> str:
    with pytest.raises((SpecError, DataError)) as told:
        make_plan(parse_spec(yaml.safe_dump(given, sort_keys=False), file="spec.yaml"))
    return str(told.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"training": {"unlabelled_ratio": 2}},
            "with target, batches hold samples of both domains by training.target_ratio; remove "
            "unlabelled_ratio",
        ),
        (
            {"data": {"source": SOURCE, "augment": {"mixup": 0.2}}},
            "mixup would blend samples of both domains, so that none is of one of them; remove it",
        ),
        (
            {"data": {"source": SOURCE, "validation": 0.3}},
            "with target, validation is the target's, and all of these samples are trained on; "
            "remove it, or set target.validation",
        ),
        (
            {
                "teacher": {
                    "model": {"family": "mlp"},
                    "training": {"target_ratio": 2},
                }
            },
            "a teacher is trained on labelled samples alone, and the target has none; remove it, "
            "or set target.labels",
        ),
        (
            {"target": None, "training": {"target_ratio": 2}},
            "target_ratio is for a study with target; remove it",
        ),
        (
            {"target": {"source": "digits", "root": "x"}},
            "target.root has no effect on the source digits; remove it",
        ),
        (
            {"target": {"source": "tests.two_domains:sections"}},
            "target: tests.two_domains:sections returned the unknown key 'study'",
        ),
    ],
)
def test_what_contradicts_a_target_is_refused(given: dict[str, Any], message: str) -> None:
    found = refusal(sections(**given))
    assert message in found
    place = found.partition(": ")[0]
    assert place.startswith("spec.yaml:")
    if given.get("target"):
        line = int(place.split(":")[1])
        text = yaml.safe_dump(sections(**given), sort_keys=False).splitlines()
        assert line > text.index("target:")


def test_a_plan_of_two_domains_holds_both_and_tries_a_few_steps() -> None:
    target = {"source": SOURCE, "options": {"worn": True}, "labels": 30}
    plan = make_plan(parse_spec(yaml.safe_dump(sections(target=target))))
    domain = plan.data.train.domain
    assert domain is not None
    assert int((plan.data.train.labels[domain] >= 0).sum()) == 30
    assert plan.data.name == f"{SOURCE} → {SOURCE}"
