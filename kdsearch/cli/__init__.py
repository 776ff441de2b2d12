"""The command line: ``kdsearch run``, ``validate``, ``front``, ``ranking``, ``methods``, …

Each module holds some commands, which import what they need when they are called.

Exit codes: 0 done, 1 failed, 2 usage or spec, 130 interrupted, 141 nobody read on.
"""

# ruff: noqa: I001  (commands stand in the help in the order of their modules' imports)
from __future__ import annotations

import signal
import sys
import traceback

from kdsearch.cli import running, checking, reading, picking, shipping, reporting  # noqa: F401
from kdsearch.cli import catalogues, stores, submitting  # noqa: F401
from kdsearch.cli.program import app
from kdsearch.errors import KdsearchError, in_lines
from kdsearch.import_path import current_directory_searched
from kdsearch.interrupts import INTERRUPTED, Interrupts
from kdsearch.redaction import redacted
from kdsearch.streams import pipe_closed, print_what_can_be_printed

PIPE_CLOSED = 128 + signal.SIGPIPE

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; the program's entry point."""
    interrupts = Interrupts()
    print_what_can_be_printed()
    try:
        with current_directory_searched():  # modules of the user's own lie beside the spec
            app(prog_name="kdsearch")
    except KdsearchError as error:
        print("kdsearch:", in_lines(str(error)), file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as left:
        # of a command that keeps no state, Typer makes an ordinary failure
        if interrupts.count:
            sys.exit(INTERRUPTED)
        sys.exit(PIPE_CLOSED if pipe_closed(left) else left.code)
    except Exception:  # a mistake of kdsearch; what a library says may quote a URI
        print(redacted(traceback.format_exc()), end="", file=sys.stderr)
        sys.exit(1)
