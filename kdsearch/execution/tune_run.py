"""Runs trainings by Ray Tune: one Tune trial for each, paused at its rungs, on reused actors."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from kdsearch.execution.connection.session import holds
from kdsearch.execution.dispatcher import Dispatcher
from kdsearch.execution.failures import shared_token
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.storage.trial_files import TrialFiles
from kdsearch.execution.trainable import StudentTrial
from kdsearch.execution.tune_hooks import NextTraining, Pausing, PhaseEnd, Telling
from kdsearch.results.record import Journal
from kdsearch.spec.sections import ResourcesSection


@dataclass
class Runner:
    """Runs the trainings of a study, several at a time."""

    shared: dict[str, Any]
    """What every actor holds: packed data and teacher (see :class:`StudentTrial`)."""
    resources: ResourcesSection
    """Trials at a time, and what each may use."""
    folder: Path
    """The study's, in which actors show that they share it."""
    observer: Observer
    """Told of every start, epoch and end."""
    trainable: type[StudentTrial] = StudentTrial

    def __post_init__(self) -> None:
        place = {"folder": str(self.folder.resolve()), "token": shared_token(self.folder)}
        self.shared = self.shared | place

    def run(self, jobs: Jobs, journal: Journal, name: str, files: TrialFiles) -> None:
        """Run the jobs of a phase until there are no more, under a name below the storage.

        Raises:
            RunError: Too many trainings failed for one reason, or no node can run any.
        """
        files.failures.mkdir(exist_ok=True)
        # so many actors may start at once; Tune starts one after another by itself
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.resources.concurrent)
        gpus = self.resources.gpus_per_trial
        each = {"CPU": self.resources.cpus_per_trial} | ({"GPU": gpus} if gpus else {})
        dispatcher = Dispatcher(
            jobs, journal, self.observer, files, self.resources, partial(_has_node, each)
        )
        placement = partial(_placement, each)
        pausing = Pausing(dispatcher, placement)
        shared = self.shared | {"storage": files.storage}
        trainable = tune.with_parameters(self.trainable, shared=shared)
        tuner = tune.Tuner(
            tune.with_resources(trainable, placement),
            tune_config=tune.TuneConfig(
                search_alg=NextTraining(dispatcher, pausing),
                scheduler=pausing,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=files.storage,
                verbose=0,
                callbacks=[Telling(dispatcher, files)],
                # the dispatcher removes them: with a number to keep, Tune would put a copy of its
                # whole state into the storage at each checkpoint
                checkpoint_config=tune.CheckpointConfig(num_to_keep=None, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        try:
            with suppress(PhaseEnd):
                tuner.fit()
        except OSError as error:
            files.check(error)
            raise
        if dispatcher.fault is None:
            records = journal.read().values()
            files.remove_unused(name, {each.checkpoint for each in records if each.checkpoint})
        if left := files.remove_rest():
            self.observer.warned(
                f"{left} checkpoints that are needed no more could not be removed from "
                f"{files.storage}"
            )
        if dispatcher.fault is not None:
            raise dispatcher.fault


def _placement(each: dict[str, float], config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Where an actor may run: not on the nodes that ``config`` says to avoid."""
    avoid = config.get("avoid")
    if not avoid:
        return tune.PlacementGroupFactory([each])
    selector = {"ray.io/node-id": f"!in({','.join(avoid)})"}
    return tune.PlacementGroupFactory([each], bundle_label_selector=[selector])


def _folder_name(trial: Trial) -> str:
    """The folder of a Tune trial; a training that was lost has another one afterwards."""
    return f"trial-{trial.config['number']:04d}-{trial.trial_id}"


def _has_node(each: dict[str, float], avoid: list[str]) -> bool:
    """Whether a node is left that holds an actor."""
    return any(node["NodeID"] not in avoid and holds(node, each) for node in ray.nodes())
