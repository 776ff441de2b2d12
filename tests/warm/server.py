"""A process that has imported what Ray's workers import, and forks one whenever it is asked.

Of the seconds that a worker takes to start, imports take nearly all; most trials take less. Started
with the path of its socket, it serves until its standard input ends. Ray reads the environment of
its job when it is imported: of this process, which has not, a second one is forked for each Ray and
job that ask, imports the rest, and forks their workers.
"""

from __future__ import annotations

import gc
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from fork_requests import receive, send

_BEFORE_RAY = (
    "torch._dynamo",  # torch.optim imports it when an optimizer is made
    "torch.distributed",
    "PIL.Image",
    "fsspec",
    "grpc",
    "jsonschema",
    "moocore",
    "pandas",
    "pyarrow.fs",
    "rich.console",
    "scipy.special",
    "kdsearch.training.trainer",
)
_WITH_RAY = ("ray.tune", "ray.train.torch", "kdsearch.execution.tune_run")


@dataclass
class Asked:
    """What somebody asked for: the words of a command line, and where to run them."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    descriptors: list[int]
    """The three standard streams, and the connection to who asked."""

    @property
    def ray(self) -> tuple[tuple[str, str], ...]:
        """What Ray reads from the environment when it is imported."""
        read = ("RAY_", "TUNE_")
        return tuple(sorted(each for each in self.environment.items() if each[0].startswith(read)))


def received(connection: socket.socket, descriptors: int) -> Asked | None:
    """What was asked over a connection; nothing, if it has ended."""
    if (found := receive(connection, descriptors)) is None:
        return None
    return Asked(**found[0], descriptors=found[1])


def pass_on(asked: Asked, connection: socket.socket) -> None:
    """Ask the other end of a connection for the same."""
    rest = {name: value for name, value in vars(asked).items() if name != "descriptors"}
    send(connection, rest, asked.descriptors)
    for descriptor in asked.descriptors:
        os.close(descriptor)


def route(listener: socket.socket, path: list[str]) -> socket.socket:
    """Pass on what is asked for until the input ends. Only the second processes return."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    seconds: dict[tuple[tuple[str, str], ...], socket.socket] = {}
    while True:
        if sys.stdin in [key.fileobj for key, _ in selector.select()]:
            os._exit(0)
        asker, _ = listener.accept()
        asked = received(asker, 3)
        if asked is None:
            asker.close()
            continue
        asked.descriptors.append(asker.detach())
        if asked.ray not in seconds:
            _import(_BEFORE_RAY, path)
            here, there = socket.socketpair()
            if not os.fork():
                selector.close()
                for each in (listener, here, *seconds.values()):
                    each.close()
                for descriptor in asked.descriptors:
                    os.close(descriptor)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.environ.update(asked.ray)
                _leave_generator_unused()
                _import(_WITH_RAY, path)
                return there
            there.close()
            seconds[asked.ray] = here
        pass_on(asked, seconds[asked.ray])


def _import(names: Iterable[str], path: list[str]) -> None:
    for name in names:
        import_module(name)
    sys.path[:] = path
    gc.freeze()  # a collection in a fork would copy all that it shares with the others


def _leave_generator_unused() -> None:
    """Let every fork seed the generator of Ray's random IDs, as it does at its first use.

    Modules with remote classes use it when they are imported. Forks of its state would give equal
    IDs to the first objects of two workers, of which one would then end, and ray.init never return.
    """
    import ray.actor
    from ray import ActorClassID

    drawn = SimpleNamespace(from_random=lambda: ActorClassID(os.urandom(ActorClassID.size())))
    ray.actor.ActorClassID = drawn


@dataclass
class Child:
    """A process that was forked, who asked for it, and what becomes readable when it ends."""

    number: int
    asker: socket.socket
    end: int


class Forks:
    """The forks of this process, each bound to the process that asked for it."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._selector = selectors.DefaultSelector()
        self._selector.register(source, selectors.EVENT_READ)
        self._children: list[Child] = []

    def serve(self) -> Asked:
        """Serve until the source ends. Only a fork returns, with what it is to run."""
        while True:
            if not (ready := self._selector.select(timeout=5)):
                self._end_with_ray()
                continue
            # one at a time: what is closed for the first may be among the others
            key = ready[0][0]
            child = key.data
            if child is None:
                if asked := self._fork():
                    return asked
            elif key.fileobj is child.asker:
                self._selector.unregister(child.asker)
                os.kill(child.number, signal.SIGKILL)
            else:
                self._tell(child)

    def _end_with_ray(self) -> None:
        raylet = os.environ.get("RAY_RAYLET_PID", "1")
        if not self._children and not Path("/proc", raylet).exists():
            os._exit(0)

    def _fork(self) -> Asked | None:
        if (asked := received(self._source, 4)) is None:
            for child in self._children:
                os.kill(child.number, signal.SIGKILL)
            os._exit(0)
        asker = socket.socket(fileno=asked.descriptors.pop())
        if not (number := os.fork()):
            self._close(asker)
            return asked
        for stream in asked.descriptors:
            os.close(stream)
        child = Child(number, asker, os.pidfd_open(number))
        self._children.append(child)
        self._selector.register(child.end, selectors.EVENT_READ, child)
        self._selector.register(asker, selectors.EVENT_READ, child)
        with suppress(OSError):
            asker.sendall(b"%d\n" % number)
        return None

    def _tell(self, child: Child) -> None:
        """Tell who asked how the child ended."""
        _, status = os.waitpid(child.number, 0)
        with suppress(OSError):
            child.asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        self._selector.unregister(child.end)
        with suppress(KeyError):  # nobody waits any more
            self._selector.unregister(child.asker)
        os.close(child.end)
        child.asker.close()
        self._children.remove(child)

    def _close(self, asker: socket.socket) -> None:
        self._selector.close()
        for each in (self._source, asker, *(child.asker for child in self._children)):
            each.close()
        for child in self._children:
            os.close(child.end)


def become(asked: Asked, path: list[str]) -> None:
    """Run the script as if this process had been started with it."""
    for wanted, given in enumerate(asked.descriptors):
        os.dup2(given, wanted)
        os.close(given)
    os.setpgid(0, 0)  # Ray ends the whole group of a worker that it has lost
    os.chdir(asked.directory)
    os.environ.clear()
    os.environ.update(asked.environment)
    script = asked.argv[0]
    more = [entry for entry in asked.environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [str(Path(script).parent), *more, *path]
    sys.argv[:] = asked.argv
    random.seed()
    np.random.seed()  # noqa: NPY002 (libraries draw from it)
    tempfile.tempdir = None
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = [entry for entry in sys.path[1:] if entry not in inherited]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        source = route(listening, own)
    what = Forks(source).serve()
    become(what, own)
