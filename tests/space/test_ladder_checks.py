"""Which students of a ladder are cut from which, and what is said of those that are not."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from kdsearch.errors import SpecError
from kdsearch.results.resume import DataFacts, Inputs
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import parse_spec

LADDER = "search.strategy=ladder", "methods=[kd]"
WIDE = "{family: convnet, width: {low: 0.2, high: 1}, depth: 2}"
UNCUT = "{family: 'tests.space.own_networks:layer_norm', width: {choices: [2, 1]}}"
ONE = "{family: mlp, width: 0.5, depth: 1}"


def plan_of(spec_text: str, students: str, *more: str, begun: Inputs | None = None) -> Plan:
    return make_plan(parse_spec(spec_text, [*LADDER, f"students={students}", *more]), begun)


def cut(plan: Plan) -> dict[str, bool]:
    return {chain.student: chain.cut for chain in plan.chains}


def told(plan: Plan) -> list[str]:
    return [each for each in plan.warnings if "trained in full" in each]


def test_what_cannot_be_cut_is_told_and_trained_in_full(spec_text: str) -> None:
    plan = plan_of(spec_text, f"[{WIDE}, {UNCUT}, {ONE}]")
    own = "tests.space.own_networks:layer_norm"
    assert cut(plan) == {"convnet": True, own: False, "mlp": False}
    of_norm, of_one = told(plan)
    assert own in of_norm
    assert "LayerNorm" in of_norm
    assert of_one == (
        "mlp has no two widths within the limits; each of these students is trained in full"
    )


@pytest.mark.parametrize("students", [UNCUT, ONE])
def test_a_ladder_of_which_nothing_can_be_cut_is_refused(spec_text: str, students: str) -> None:
    with pytest.raises(SpecError, match=r"search\.strategy=ladder: no student can be cut"):
        plan_of(spec_text, f"[{students}]")
    plan = plan_of(spec_text, f"[{students}]", "search.ladder.chains=false")
    assert set(cut(plan).values()) == {False}
    assert told(plan) == []


def test_a_study_keeps_the_chains_with_which_it_began(spec_text: str) -> None:
    """A latency that is measured anew may set other limits, as fewer parameters do here."""
    plan = plan_of(spec_text, f"[{WIDE}, {ONE}]")
    fields = json.loads(json.dumps([asdict(chain) for chain in plan.chains]))
    data = DataFacts(name="digits", fingerprint="f", train=1, validation=1, inputs={})
    begun = Inputs(id="a", data=data, checkpoints={}, chains=fields)
    fewer = f"[{WIDE}, {ONE}]", "search.max_parameters=1000"
    assert plan_of(spec_text, *fewer).chains != plan.chains
    assert plan_of(spec_text, *fewer, begun=begun).chains == plan.chains


def test_other_strategies_have_no_chains(spec_text: str) -> None:
    assert make_plan(parse_spec(spec_text)).chains == []
