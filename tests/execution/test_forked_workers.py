"""Ray's workers that the tests fork from one process are as different as those that Ray starts."""

from __future__ import annotations

import random

import numpy as np
import pytest


class Drawer:
    def draw(self) -> tuple[str, float, float]:
        import ray

        of_numpy = float(np.random.random())  # noqa: NPY002 (libraries draw from it)
        return ray.ObjectRef.from_random().hex(), random.random(), of_numpy


@pytest.mark.slow
def test_workers_draw_different_numbers(private_ray: None) -> None:
    """Two objects of equal IDs would end one of the workers, and hang what waits for it."""
    import ray

    actor = ray.remote(num_cpus=1)(Drawer)
    workers = [actor.remote() for _ in range(2)]
    first, second = ray.get([worker.draw.remote() for worker in workers])
    for one, other in zip(first, second, strict=True):
        assert one != other
