"""Latency is measured on a core of its own, which what trains leaves free."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.graphs.cores import leave_core, reserved_core
from kdsearch.graphs.latency import measure_latency
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)

LOAD = """
import sys, threading
import torch
from kdsearch.graphs.cores import leave_core
torch.set_num_threads(2)
torch.rand(600, 600) @ torch.rand(600, 600)  # starts PyTorch's own threads
early = threading.Thread(target=sys.stdin.read)
early.start()
leave_core(int(sys.argv[1]))
threading.Thread(target=lambda: None).start()
print("there", flush=True)
while early.is_alive():
    torch.rand(600, 600) @ torch.rand(600, 600)
"""


@contextmanager
def loaded(core: int) -> Iterator[int]:
    """A process that has left a core and computes on all others; its id."""
    command = [sys.executable, "-c", LOAD, str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"there\n"
        yield child.pid
        child.stdin.close()


def allowed(process: int) -> dict[int, set[int]]:
    """The cores of each thread of a process, as the kernel has them."""
    found = {}
    for name in os.listdir(f"/proc/{process}/task"):
        with suppress(ProcessLookupError):  # a thread may have ended
            found[int(name)] = os.sched_getaffinity(int(name))
    return found


def cores_in_use(process: int) -> set[int]:
    """The cores of the threads of a process that run now: fields 3 and 39 of stat (proc(5))."""
    found = set()
    for thread in os.listdir(f"/proc/{process}/task"):
        stat = Path(f"/proc/{process}/task/{thread}/stat")
        # a thread may have ended, before the file is opened or before it is read
        with suppress(FileNotFoundError, ProcessLookupError), stat.open() as file:
            fields = file.read().rpartition(")")[2].split()
            if fields[0] == "R":  # one that sleeps has the core on which it fell asleep
                found.add(int(fields[36]))
    return found


def test_a_measurement_runs_on_its_core_and_a_load_on_all_others_shares_it_not() -> None:
    core = reserved_core()
    assert core in os.sched_getaffinity(0)
    before = os.sched_getaffinity(0)
    ran: set[frozenset[int]] = set()
    shared: set[int] = set()
    with loaded(core) as process:

        def run() -> None:
            ran.add(frozenset(os.sched_getaffinity(0)))
            shared.update(cores_in_use(process))

        assert measure_latency(run, core=core) > 0
        cores = allowed(process)
        assert len(cores) > 2
        assert all(each == before - {core} for each in cores.values())
    assert ran == {frozenset({core})}
    assert shared
    assert core not in shared
    assert os.sched_getaffinity(0) == before


def test_an_error_on_the_way_gives_the_cores_back() -> None:
    def fail() -> None:
        raise ValueError

    before = os.sched_getaffinity(0)
    with pytest.raises(ValueError):  # noqa: PT011 - it is this very one
        measure_latency(fail, core=reserved_core())
    assert os.sched_getaffinity(0) == before


def _in_thread(act: object) -> list[object]:
    """What a call gives or raises in a thread of its own, whose cores are no other's."""
    found: list[object] = []

    def run() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        try:
            found.append(act())  # type: ignore[operator]
        except StudyError as error:
            found.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


def test_with_one_core_a_study_that_measures_latency_is_refused(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.size=[parameters, latency]"])
    (told,) = _in_thread(lambda: make_plan(spec))
    assert "on a core that no trial uses, and this machine gives one core alone; run" in str(told)
    (plan,) = _in_thread(lambda: make_plan(parse_spec(spec_text)).architectures.stopwatch.core)
    assert plan is None


def test_a_plan_reserves_the_core_that_trials_leave(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.max_latency=1e9"])
    assert make_plan(spec).architectures.stopwatch.core == max(os.sched_getaffinity(0))


def test_several_threads_and_a_command_reserve_no_core(spec_text: str) -> None:
    for setting in ("latency.threads=2", "latency.command=bench"):
        spec = parse_spec(spec_text, ["search.max_latency=1e9", setting])
        assert not spec.reserves_core
        assert make_plan(spec).architectures.stopwatch.core is None


def test_a_process_with_no_other_core_stays_where_it_is() -> None:
    only = min(os.sched_getaffinity(0))
    assert _in_thread(lambda: (leave_core(only), os.sched_getaffinity(0))[1]) == [{only}]
