"""The folder of the study's own node, as processes on other nodes read from it.

It is read by Ray tasks on that node, each in a process that imports this file and no PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class DriverNode:
    """Where the process of a study keeps what its trials share.

    Attributes:
        node: Its node, as Ray names it.
        folder: The folder there; absolute.
    """

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
        """The content of files, through Ray's object store; ``None`` where one is not there.

        Args:
            names: Below the folder.
        """
        there = NodeAffinitySchedulingStrategy(self.node, soft=False)
        files = [self.folder / name for name in names]
        return ray.get(_read.options(scheduling_strategy=there).remote(files))


@ray.remote(num_cpus=0)
def _read(files: Sequence[Path]) -> list[bytes] | None:
    try:
        return [file.read_bytes() for file in files]
    except OSError:
        return None
