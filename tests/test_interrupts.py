"""Signals sent to a real process that ends in order, or does not come to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.interrupts import interruptible

PROGRAM = """
import sys, time
from kdsearch.interrupts import Interrupts
Interrupts()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("ending", flush=True)
    time.sleep(float(sys.argv[1]))
    print("ended in order", flush=True)
    sys.exit(130)
"""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Running:
    """The program, and what it has said."""

    def __init__(self, seconds: float, *before: str, program: str = PROGRAM) -> None:
        with interruptible():
            self.process = subprocess.Popen(
                [*before, sys.executable, "-c", program, str(seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.expect("ready")

    def expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{line}\n"

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


every_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@every_signal
def test_the_first_ends_in_order(number: signal.Signals) -> None:
    program = Running(0)
    program.send(number)
    program.expect("ending")
    program.expect("ended in order")
    assert program.end() == (130, "")


@every_signal
def test_the_third_ends_at_once(number: signal.Signals) -> None:
    program = Running(60)
    program.send(number)
    program.expect("ending")
    program.send(number)
    assert program.process.stderr is not None
    assert "once more ends it at once" in program.process.stderr.readline()
    program.send(number)
    assert program.end() == (130, "")


def test_a_terminal_that_is_closed_is_nothing_to_a_program_under_nohup() -> None:
    program = Running(0, "nohup")
    program.send(signal.SIGHUP)
    program.send(signal.SIGTERM)
    program.expect("ending")
    program.expect("ended in order")
    assert program.end()[0] == 130


def test_what_is_to_be_said_at_the_first_is_said_before_anything_ends() -> None:
    program = PROGRAM.replace(
        "import Interrupts", "import Interrupts, called_when_interrupted, say"
    )
    program = program.replace(
        '    print("ready", flush=True)\n    time.sleep(60)',
        "    with called_when_interrupted(lambda: say('stopping')):\n"
        '        print("ready", flush=True)\n        time.sleep(60)',
    )
    running = Running(0.0, program=program)
    running.send(signal.SIGINT)
    running.expect("ending")
    running.expect("ended in order")
    assert running.end() == (130, "kdsearch: stopping\n")
