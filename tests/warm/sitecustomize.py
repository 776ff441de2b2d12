"""Ray's workers are forked by the server of the tests, which has imported their libraries.

Python imports this file when it starts, from the path that the tests put before all others. It acts
on Ray's workers alone. The process that Ray started stays, and passes on signals and the end.
"""

from __future__ import annotations

import os
import sys

_SERVER = os.environ.get("KDSEARCH_TESTS_FORK")
_SCRIPTS = ("/workers/setup_worker.py", "/workers/default_worker.py")


def _forked(server: str, words: list[str]) -> None:
    import signal
    import socket

    from fork_requests import send

    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(server)
        except OSError:  # the tests that started this Ray have ended
            return
        asked = {"argv": words, "environment": dict(os.environ), "directory": os.getcwd()}
        send(connection, asked, [0, 1, 2])
        answers = connection.makefile("r")
        child = int(answers.readline())
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda number, _: os.kill(child, number))
        status = answers.readline()
    if not status:  # the server was killed
        os._exit(1)
    code = int(status)
    if code < 0:  # by a signal, by which this one ends too
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _script() -> int:
    """Where the script stands among the words of the command line; 0: there is none."""
    for place, word in enumerate(sys.orig_argv[1:], 1):
        if word.endswith(_SCRIPTS):
            return place
        if not word.startswith("-"):
            break
    return 0


if _SERVER and (_place := _script()):
    _forked(_SERVER, sys.orig_argv[_place:])
