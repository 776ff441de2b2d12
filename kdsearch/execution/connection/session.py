"""The connection to Ray: a cluster's, or a private Ray of this process."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import ray

from kdsearch.errors import StudyError, one_line
from kdsearch.execution.connection.address import check_address, unreachable
from kdsearch.execution.connection.private_ray import not_started, private_files
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER, teacher_path

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # a study goes on from its own files, and Tune's copy of its state is never read
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    # out of memory, the kernel's kill costs one trial; Ray's own monitor would end the study
    "RAY_memory_monitor_refresh_ms": "0",
    # a relative path in a user's own code means in a trial what it means in the checks before it
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@contextmanager
def ray_session(spec: StudySpec, address: str | None) -> Iterator[None]:
    """A connection to a Ray cluster, or a private Ray of this process that ends with it.

    Args:
        spec: The study, whose resources must fit.
        address: Address of a cluster; absent: ``RAY_ADDRESS``, else a Ray of our own.

    A cluster that has too little for a trial may be one that grows on demand, so it is waited for.
    One that has enough in all, but on no single node, is taken for one that does not grow.

    Raises:
        ClusterError: The cluster cannot be reached.
        StudyError: This machine, or no node of the cluster, has the cores and GPUs of one trial.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    owned = not ray.is_initialized()
    address = address or os.environ.get("RAY_ADDRESS")
    if owned:
        check_address(address)
    with private_files() if owned and not address else nullcontext():
        try:
            if owned:
                _connect(address, spare=int(spec.reserves_core))
            _check_resources(spec, may_grow=bool(address))
            yield
        finally:
            if owned:
                ray.shutdown()


def _connect(address: str | None, spare: int) -> None:
    """Connect to a cluster, or start a Ray that leaves so many of this machine's cores free."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            # without "local", a Ray that somebody else started on this machine would be joined
            quiet |= {"address": "local", "include_dashboard": False}
            ray.init(**quiet)
            cores = int(ray.cluster_resources().get("CPU", 0))
            if not cores or spare:  # none is half a core, say, which Ray rounds down
                ray.shutdown()
                ray.init(num_cpus=max(1, cores - spare), **quiet)
    except Exception as error:  # of many kinds, also plain ones
        if address is None:
            raise not_started(error) from error
        raise unreachable(address, one_line(error)) from error
    if threading.current_thread() is threading.main_thread():
        # Ray's own handler leaves as if the study had failed, not as interrupted
        signal.signal(signal.SIGTERM, on_sigterm)


def _check_resources(spec: StudySpec, may_grow: bool) -> None:
    have, waits = ray.cluster_resources(), False
    each = spec.resources
    gpus = math.ceil(each.gpus_per_trial)
    needs = [
        ("CPU", each.cpus_per_trial, "a trial", "resources.cpus_per_trial"),
        ("GPU", each.gpus_per_trial, "a trial", "resources.gpus_per_trial"),
    ]
    for name, teacher in spec.teachers_in_use.items():
        who = "the teacher" if name == TEACHER else f"the teacher {name}"
        key = ".".join((*teacher_path(name), "workers"))
        needs.append(("CPU", each.cpus_per_trial * teacher.workers, who, key))
        needs.append(("GPU", gpus * teacher.workers, who, key))
    for kind, need, who, key in needs:
        there = have.get(kind, 0)
        if need <= there:
            continue
        if not may_grow:
            raise StudyError(f"{who} needs {need:g} {kind} and Ray has {there:g}; lower {key}")
        waits = True
        print(
            f"kdsearch: {who} needs {need:g} {kind} and the cluster has {there:g}; waiting until "
            "nodes with more join",
            file=sys.stderr,
            flush=True,
        )
    if not waits:
        _check_nodes({"CPU": each.cpus_per_trial, "GPU": gpus})


def _check_nodes(trial: dict[str, int]) -> None:
    """Refuse a cluster of which no single node has what one trial needs."""
    if any(holds(node, trial) for node in ray.nodes()):
        return
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max(node.get("CPU", 0) for node in nodes if node.get("GPU", 0) >= trial["GPU"])
    on = "with a GPU " if trial["GPU"] else ""
    raise StudyError(
        f"a trial needs {trial['CPU']} CPU on one node, and no node {on}has more than {most:g}; "
        "lower resources.cpus_per_trial, or add a larger node"
    )


def holds(node: Mapping[str, Any], trial: Mapping[str, float]) -> bool:
    """Whether a node of ``ray.nodes()`` is up and has what one trial needs."""
    has = node["Resources"]
    return node["Alive"] and all(has.get(kind, 0) >= need for kind, need in trial.items())
