"""Building a cache on a group of Ray Train workers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from kdsearch.errors import RunError, TeacherError
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.ray_train import Group, SharedData, Worker, run_on_workers


def build_on_workers(
    plan: CachePlan,
    packed_teacher: dict[str, Any],
    epochs: int,
    data: SharedData,
    group: Group,
    on_part: Callable[[int], None],
) -> None:
    """Build the first epochs of a cache, its parts shared out over the workers.

    What is there already is not built again, so a group that was cut off goes on.

    Args:
        plan: The cache, in a folder that all nodes share.
        packed_teacher: The teacher (:func:`~kdsearch.training.packing.pack_teacher`).
        epochs: How many.
        data: The data set.
        group: The workers.
        on_part: Called in this process with the number of parts that are there, as it grows.

    Raises:
        TeacherError: A worker failed; the message holds its reason.
    """
    done: set[tuple[int, int]] = set()

    def take(report: dict[str, Any]) -> None:
        done.add(tuple(report["part"]))
        on_part(len(done))

    given = {"plan": plan, "teacher": packed_teacher, "epochs": epochs}
    try:
        run_on_workers(_build, given, data, group, take)
    except RunError as error:
        raise TeacherError(f"the teacher's answers could not be kept: {error}") from error


def _build(worker: Worker, given: dict[str, Any]) -> None:
    plan: CachePlan = given["plan"]
    device = worker.hardware.device
    teacher = unpack_teacher(given["teacher"], device)
    builder = plan.builder(teacher, given["data"], device, worker.hardware.loaders)
    epochs = range(min(given["epochs"], plan.epochs))
    parts = list(product(epochs, plan.layout.parts))
    # neighbours go to different workers, so that the epochs that are needed first are ready first
    for place in builder.build(parts[worker.ranks.rank :: worker.ranks.world_size]):
        worker.tell({"part": place})
