"""What earlier studies teach: their fronts' members are tried first, as far as the space holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdsearch.errors import SpecError
from kdsearch.models import of_images
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.objectives import Objectives
from kdsearch.results.resume import DataFacts, Inputs
from kdsearch.results.study import Study
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.architectures import Architectures
from kdsearch.space.checks import make_plan
from kdsearch.space.space import Space
from kdsearch.space.warm_start import front_to_try, recall, warm_start_proposals
from kdsearch.spec import StudySpec, parse_spec
from tests.records import trial
from tests.search.test_loop import CLASSES, SHAPE, drive, first, make_jobs, parameters


def kept_study(spec: StudySpec) -> Path:
    """A study on made-up trainings, as its directory keeps it."""
    directory = StudyDirectory.of(spec)
    directory.path.mkdir(parents=True)
    directory.create(spec)
    directory.update(state="finished")
    for record in drive(make_jobs(spec)[0], 2, first):
        directory.trials.append(record)
    return directory.path


def front_of(folder: Path) -> list[dict[str, Any]]:
    """The parameters of the front's members, small to large."""
    return [each.parameters for each in Study.open(folder).members()]


@pytest.fixture
def earlier(spec_text: str) -> list[Path]:
    return [
        kept_study(parse_spec(spec_text, [f"study.name={name}", f"study.seed={seed}"]))
        for seed, name in enumerate(("one", "two"))
    ]


def test_members_of_the_fronts_come_in_turn(spec: StudySpec, earlier: list[Path]) -> None:
    one, two = (front_of(folder) for folder in earlier)
    found = warm_start_proposals(Space(spec), [one, two])
    assert len(found) == len(one) + len(two)
    assert found[:3] == [one[0], two[0], one[1]]


def test_each_member_adds_most_to_those_before_it() -> None:
    """By areas worked out by hand: scaled errors 1, 0.375, 0.3, 0; log sizes 0, 0.25, 0.5, 1."""
    members = [
        trial(number, 1 - error, size).model_copy(update={"parameters": {"number": number}})
        for number, (error, size) in enumerate(((0.9, 10), (0.4, 100), (0.34, 1_000), (0.1, 10**5)))
    ]
    # up to 1.1: alone 0.11, 0.616, 0.48, 0.11; to that of 1 they add 0.025, -, 0.045, 0.0375
    # and to those of 1 and 2 then 0.025, -, -, 0.03
    found = front_to_try(members, Objectives())
    assert [each["number"] for each in found] == [1, 2, 3, 0]


def test_they_are_tried_before_the_published_values(spec: StudySpec, earlier: list[Path]) -> None:
    past = warm_start_proposals(Space(spec), [front_of(earlier[0])])
    proposer = Proposer(Space(spec), Architectures(of_images(SHAPE), CLASSES), past)
    jobs = ProposedJobs(spec, proposer, {})
    tried = parameters(drive(jobs, 2, first))
    assert tried[: len(past)] == past
    published = tried[len(past) : len(past) + 4]
    assert [each["method"] for each in published] == ["none", "kd", "dist", "kd+fitnet"]


def test_of_what_the_space_does_not_hold_nothing_is_said(spec_text: str) -> None:
    stepped = "weight: {low: 0, high: 2, step: 0.25}"
    methods = f"methods={{kd: {{temperature: {{low: 2, high: 4}}, {stepped}}}, none: {{}}}}"
    words = [methods, "training.lr=0.1"]
    space = Space(parse_spec(spec_text, [*words, "students=[{family: mlp, width: 0.3}]"]))
    known: dict[str, Any] = {
        "method": "kd",
        "kd.temperature": 9.0,
        "kd.weight": 0.5,
        "student": "convnet",
        "convnet.width": 0.7,
        "lr": 0.03,
    }
    assert recall(space, known) == {"method": "kd", "kd.weight": 0.5}
    assert recall(space, known | {"kd.temperature": 3.0}) == {
        "method": "kd",
        "kd.temperature": 3.0,
        "kd.weight": 0.5,
    }
    assert recall(space, known | {"kd.weight": 0.6}) == {"method": "kd"}
    assert recall(space, known | {"method": "dkd"}) is None


def test_a_folder_without_a_front_is_refused_with_its_place(
    spec_text: str, earlier: list[Path], tmp_path: Path
) -> None:
    Path(earlier[1] / "trials.jsonl").unlink()
    for folder, told in ((earlier[1], "has no front yet"), (tmp_path / "no", "no study in")):
        spec = parse_spec(spec_text, [f"search.warm_start=[{earlier[0]}, {folder}]"])
        with pytest.raises(SpecError, match=told) as caught:
            make_plan(spec)
        assert "--set search.warm_start" in str(caught.value)
        data = DataFacts(name="digits", fingerprint="f", train=1, validation=1, inputs={})
        begun = Inputs(id="a", data=data, checkpoints={}, past=[{"method": "kd"}])
        assert make_plan(spec, begun).past == begun.past
