"""Runs trainings by Ray Tune: one Tune trial for each, paused at its rungs, on reused actors."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from kdsearch.execution.dispatcher import Dispatcher
from kdsearch.execution.failures import shared_token
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.trainable import StudentTrial
from kdsearch.execution.trial_files import TrialFiles
from kdsearch.execution.tune_hooks import NextTraining, PausedTrials, Pausing, PhaseEnd, Telling
from kdsearch.results.record import Journal
from kdsearch.spec.sections import ResourcesSection


class Runner:
    """Runs the trainings of a study, several at a time.

    Args:
        shared: What every actor holds: packed data and teacher (see :class:`StudentTrial`).
        resources: Trials at a time, and what each may use.
        folder: The study's, in which actors show that they share it.
        observer: Told of every start, epoch and end.
        trainable: The actor that trains, a :class:`StudentTrial`.
    """

    def __init__(
        self,
        shared: dict[str, Any],
        resources: ResourcesSection,
        folder: Path,
        observer: Observer,
        trainable: type[StudentTrial] = StudentTrial,
    ) -> None:
        place = {"folder": str(folder.resolve()), "token": shared_token(folder)}
        self._shared = shared | place
        self._resources = resources
        self._observer = observer
        self._trainable = trainable

    def run(self, jobs: Jobs, journal: Journal, name: str, files: TrialFiles) -> None:
        """Run jobs until there are no more.

        Args:
            jobs: Where trainings come from; told of each outcome.
            journal: The history of the phase.
            name: Name of the run below the storage.
            files: Where the trainings leave theirs.

        Raises:
            RunError: Too many trainings failed for one reason, or no node can run any.
        """
        # so many actors may start at once; Tune starts one after another by itself
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self._resources.concurrent)
        each = self._each()
        dispatcher = Dispatcher(
            jobs, journal, self._observer, files, self._resources, partial(has_node, each)
        )
        trainable = tune.with_resources(
            tune.with_parameters(self._trainable, shared=self._shared | {"storage": files.storage}),
            partial(_placement, each),
        )
        paused = PausedTrials()
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=NextTraining(dispatcher, paused),
                scheduler=Pausing(dispatcher, paused, partial(_placement, each)),
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
        if left := files.remove_rest():
            self._observer.warned(
                f"{left} checkpoints that are needed no more could not be removed from "
                f"{files.shown}"
            )
        if dispatcher.fault is not None:
            raise dispatcher.fault

    def _each(self) -> dict[str, float]:
        gpus = self._resources.gpus_per_trial
        return {"CPU": self._resources.cpus_per_trial} | ({"GPU": gpus} if gpus else {})


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


def has_node(each: dict[str, float], avoid: list[str]) -> bool:
    """Whether a node is left that holds an actor."""
    return any(
        node["Alive"]
        and node["NodeID"] not in avoid
        and all(node["Resources"].get(kind, 0) >= need for kind, need in each.items())
        for node in ray.nodes()
    )
