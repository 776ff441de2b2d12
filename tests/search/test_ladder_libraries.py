"""Ladders of networks that torchvision and timm make, really trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import Network
from kdsearch.results.record import TrialRecord
from kdsearch.search.ladder import LadderJobs
from kdsearch.search.strategies import Before, search_jobs
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import parse_spec
from kdsearch.training.programs import begin_training
from tests.training.trainings import finish

pytestmark = pytest.mark.slow

TEXT = """
study: {{name: libraries, directory: {directory}}}
data: {{source: digits, limit: 200, validation: 0.2, test: 0.25}}
teacher:
  model: {{family: convnet, width: 0.25, depth: 1}}
students:
  - {{family: {family}, width: {{choices: [0.5, 0.35, 0.25]}}, image_size: 32}}
methods: [none]
training: {{epochs: 2, batch_size: 20, lr: 0.02}}
search:
  strategy: ladder
  trials: 6
  ladder: {{link: 0.5, settings: 0.1}}
resources: {{concurrent: 1}}
"""


class Trainings:
    """Trains what a ladder hands out, and keeps the students."""

    def __init__(self, plan: Plan, jobs: LadderJobs) -> None:
        self._plan, self._jobs = plan, jobs
        self.students: dict[str, Network] = {}
        self.done: list[TrialRecord] = []
        self.heads: list[tuple[torch.Tensor, torch.Tensor]] = []

    def run(self) -> None:
        while True:
            try:
                record = self._jobs.next()
            except NoMoreJobs:
                return
            assert record is not None, "with one at a time nothing is waited for"
            self._jobs.ended(self._trained(record))

    def _trained(self, record: TrialRecord) -> TrialRecord:
        parent = record.task.parent and self.students[record.task.parent.key]
        program = begin_training(record.task, self._plan.data, {}, parent=parent)
        if parent is not None:
            self.heads.append((_bias(parent).clone(), _bias(program.student).clone()))
        reports = tuple(
            {"epoch": each.epoch, "seconds": each.seconds, **each.scores}
            for each in finish(program)
        )
        self.students[record.task.key] = program.student
        record = record.model_copy(update={"status": "complete", "epochs": reports})
        self.done.append(record)
        return record


def _bias(network: Network) -> torch.Tensor:
    """Of the classifier: one value a class, which no cut changes."""
    return [each for name, each in network.named_parameters() if name.endswith("bias")][-1].detach()


@pytest.mark.parametrize(
    "family",
    ["torchvision/resnet18", "torchvision/mobilenet_v3_small", "timm/test_resnet"],
)
def test_each_next_student_is_cut_from_its_trained_neighbour(family: str, tmp_path: Path) -> None:
    plan = make_plan(parse_spec(TEXT.format(directory=tmp_path, family=family)))
    jobs = search_jobs(plan, Before({}, {}, None, 0.0, lambda _: None, lambda: None), True)
    assert isinstance(jobs, LadderJobs)
    trainings = Trainings(plan, jobs)
    trainings.run()
    by_key = {each.task.key: each for each in trainings.done}
    links = [each for each in trainings.done if each.ladder == "links"]
    assert links
    for each in links:
        assert each.task.parent is not None
        assert each.parameter_count < by_key[each.task.parent.key].parameter_count
        own = sum(parameter.numel() for parameter in trainings.students[each.task.key].parameters())
        assert own == each.parameter_count
        assert each.task.lineage_epochs > each.task.training.epochs
    for wide, narrow in trainings.heads:
        assert torch.equal(wide, narrow)
        assert wide.abs().max() > 0
