"""What the caches need of Ray: its free room, and the folder of the driver's node.

That folder is read by Ray tasks on the node, each in a process that imports this file and no
PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from kdsearch.spec.sections import ResourcesSection


@dataclass(frozen=True)
class DriverNode:
    """The node of a study's driver, as Ray names it, and the caches' absolute folder there."""

    node: str
    folder: Path

    @staticmethod
    def here(folder: Path) -> DriverNode:
        """A folder of this process's node."""
        return DriverNode(ray.get_runtime_context().get_node_id(), folder.resolve())

    @property
    def is_here(self) -> bool:
        """Whether this process runs on that node."""
        return ray.get_runtime_context().get_node_id() == self.node

    def read(self, names: Sequence[str]) -> list[bytes] | None:
        """The content of files of the folder, by Ray's object store; ``None`` if one is gone."""
        there = NodeAffinitySchedulingStrategy(self.node, soft=False)
        files = [self.folder / name for name in names]
        return ray.get(_read.options(scheduling_strategy=there).remote(files))


@ray.remote(num_cpus=0)
def _read(files: Sequence[Path]) -> list[bytes] | None:
    try:
        return [file.read_bytes() for file in files]
    except OSError:
        return None


def workers_with_room(resources: ResourcesSection) -> int:
    """Workers that Ray has room for now; more would be waited for without end."""
    have = ray.cluster_resources()
    each = {"CPU": resources.cpus_per_trial, "GPU": math.ceil(resources.gpus_per_trial)}
    return max(1, min(int(have.get(kind, 0) // need) for kind, need in each.items() if need))
