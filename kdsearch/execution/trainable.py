"""The actor that trains students, one after another, in its own warm process."""

from __future__ import annotations

import gc
import time
import traceback
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import ray
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from kdsearch.data import on_device, unpack
from kdsearch.errors import KdsearchError, described
from kdsearch.execution.failures import (
    HANG_SECONDS,
    CrashLog,
    LostError,
    SetupError,
    check_shared,
)
from kdsearch.execution.storage.access import PATIENCE, awaited, patiently
from kdsearch.graphs.cores import leave_core
from kdsearch.models.weights import save_weights
from kdsearch.spec.sections import ResourcesSection
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.hardware import Hardware
from kdsearch.training.lineage import load_parent
from kdsearch.training.measured import measured_sizes
from kdsearch.training.programs import TrainingProgram, begin_training
from kdsearch.training.quantized import quantized
from kdsearch.training.task import Task


class StudentTrial(tune.Trainable):
    """Trains the student of ``config["task"]``; one step is one epoch.

    The actor lives on between trials: data and teacher are unpacked once a process, and
    ``reset_config`` starts the next student in a hundredth of a second.

    Attributes:
        patience: Seconds for which it waits for a storage that does not answer.
        hang_seconds: After so long an epoch is taken for hung, where the spec does not say.
    """

    patience: ClassVar[float] = PATIENCE
    hang_seconds: ClassVar[float] = HANG_SECONDS

    def setup(self, config: dict[str, Any], shared: dict[str, Any] | None = None) -> None:
        """Take up data and teacher; what goes wrong is told by the first step.

        An error raised here would reach nobody.

        Args:
            config: ``task`` (a dumped :class:`Task`); ``rungs``, the epochs after which averaged
                weights are scored; ``checkpoint``, the URI of a folder that it goes on from;
                ``crash_log``, a file; ``avoid``, ids of nodes; ``parent``, the file of the student
                that it goes on from; ``keep``, the file that takes the weights after the last
                epoch; and for finalists ``save_to``, likewise, beside scores on the test split.
            shared: ``data``, a reference to the packed data in Ray's object store; ``teachers``,
                packed, by name; ``caches``, what is cached of them, and ``driver_node``, where the
                study's own process has it; ``by_task``, who answers each task where several do;
                ``folder``, the study's, and ``token``, which lies in
                it; ``measured``, names of sizes that are measured after each epoch;
                ``int8``, whether finalists are quantized;
                ``storage``, Ray Tune's; ``core``, which measures latencies on the driver's
                node, or ``None``; and ``resources``, a dumped
                :class:`~kdsearch.spec.sections.ResourcesSection`.
        """
        assert shared is not None
        self._node = ray.get_runtime_context().get_node_id()
        self._crash_log = CrashLog()
        self._longest_epoch = 0.0
        self._measured: tuple[str, ...] = ()
        self._int8 = False
        self._fault: SetupError | None = None
        try:
            if why := awaited(shared["storage"], self.patience):
                raise LostError(why)
            self._set_up(shared)
            self._begin(config)
        except Exception as error:  # of data, teacher, device or disk: whatever it is, told at once
            plain = isinstance(error, KdsearchError | LostError)
            self._fault = SetupError(str(error) if plain else described(error), self._node)

    def _set_up(self, shared: dict[str, Any]) -> None:
        check_shared(Path(shared["folder"]), shared["token"])
        if shared["driver_node"].is_here:
            leave_core(shared["core"])
        self._resources = ResourcesSection.model_validate(shared["resources"])
        self._measured = tuple(shared["measured"])
        self._int8 = bool(shared["int8"])
        torch.set_num_threads(self._resources.cpus_per_trial)
        self._hardware = Hardware.of(self._resources)
        data, hardware = unpack(ray.get(shared["data"])), self._hardware
        self._data = on_device(data, hardware.device, hardware.loaders)
        self._signals = TeacherSignals(shared, self._data, self._hardware.device)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another task in the same process."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._config = config
        self._task = Task.model_validate(config["task"])
        self._program: TrainingProgram | None = None
        self._saved_at = time.monotonic()
        torch.compiler.reset()  # what was compiled for the last student would count against this
        if self._hardware.device.type == "cuda":
            gc.collect()  # the compiler's traces hold the last student until cycles are looked for
            torch.cuda.empty_cache()

    def step(self) -> dict[str, Any]:
        """Train one epoch; a finalist is scored on the test split after its last.

        A training that fails by its own fault ends as a result with ``failed``, its reason. An
        exception means that it was lost, and goes on elsewhere.

        Raises:
            SetupError: The actor could not be made ready.
            LostError: A disk or the network failed.
        """
        if self._fault is not None:
            raise self._fault
        # not before: an actor that is made ready may never get this training
        crash_log, begun = Path(self._config["crash_log"]), time.monotonic()
        try:
            with self._crash_log.watching(crash_log, self._time_limit()):
                result = self._train_epoch()
            self._longest_epoch = max(self._longest_epoch, time.monotonic() - begun)
            return {"node": self._node} | result
        except LostError:
            raise
        except OSError as error:
            # not the error itself: users' own may not survive pickling
            raise LostError(described(error), error.errno) from None
        except (Exception, KeyboardInterrupt) as error:  # Ctrl-C does not come here: a user's own
            reason = str(error) if isinstance(error, KdsearchError) else described(error)
            trace = traceback.format_exc()
            return {"node": self._node, "failed": reason, "traceback": trace, "done": True}

    def _time_limit(self) -> float:
        """Seconds after which the next epoch is taken for hung."""
        return self._resources.trial_timeout or max(self.hang_seconds, 10 * self._longest_epoch)

    def _train_epoch(self) -> dict[str, Any]:
        program = self._program = self._program or self._begin_program()
        report = program.train_epoch()
        sizes = measured_sizes(program.student, self._measured)
        result: dict[str, Any] = {"report": report.as_dict() | sizes, "done": program.finished}
        if self._signals.warning is not None:
            result["warning"] = self._signals.warning
        if not program.finished:
            due = time.monotonic() - self._saved_at > 60 * self._resources.checkpoint_minutes
            return result | {SHOULD_CHECKPOINT: due}
        if keep := self._config.get("keep"):
            save_weights(program.student, Path(keep))
        if save_to := self._config.get("save_to"):
            result["test"] = program.score_test()
            save_weights(program.student, Path(save_to))
            if self._int8:
                result["int8"] = self._quantized(program)
        return result

    def _quantized(self, program: TrainingProgram) -> dict[str, Any]:
        data = self._data.of_tasks(self._task.tasks)
        threads = self._resources.cpus_per_trial
        return quantized(program.student, data, self._signals.reference, threads).model_dump()

    def _begin_program(self) -> TrainingProgram:
        """The training of the task, gone on with from a checkpoint where one is given."""
        parent = None
        if file := self._config.get("parent"):
            parent = load_parent(self._task, self._data, Path(file))
        program = begin_training(
            self._task,
            self._data,
            self._signals.of_views(self._task.views_seed),
            self._hardware,
            self._signals.reference,
            self._config["rungs"],
            parent,
        )
        return self._loaded(program)

    def _loaded(self, program: TrainingProgram) -> TrainingProgram:
        if uri := self._config.get("checkpoint"):
            with self._crash_log.unwatched():
                patiently(partial(self._load, program, uri), self.patience)
        return program

    def _load(self, program: TrainingProgram, uri: str) -> None:
        try:
            with tune.Checkpoint(uri).as_directory() as folder:
                load_training(program, Path(folder))
        except KdsearchError as error:
            raise LostError(str(error)) from None

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Put the training's state into Ray Tune's storage; an outage is waited out."""
        with TemporaryDirectory() as folder:  # Ray would leave one behind for every try
            return patiently(partial(super().save, checkpoint_dir or folder), self.patience)

    def restore(self, checkpoint_path: Any) -> None:
        """Go on from what :meth:`save` has put there; an outage is waited out."""
        patiently(partial(super().restore, checkpoint_path), self.patience)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        assert self._program is not None, "an epoch comes first"
        save_training(self._program, Path(checkpoint_dir))
        self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from what :meth:`save_checkpoint` has saved.

        Raises:
            SetupError: The actor could not be made ready.
            LostError: The checkpoint is missing or damaged.
        """
        if self._fault is not None:
            raise self._fault
        self._config = self._config | {"checkpoint": str(checkpoint)}
        self._program = self._begin_program()

    def cleanup(self) -> None:
        self._crash_log.close()
