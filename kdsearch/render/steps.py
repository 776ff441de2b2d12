"""What a command is doing before it has anything to show: a line that moves, or plain lines."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner


class Steps:
    """The steps of a command, one after another, until it is closed.

    A terminal shows the present one and clears it at the end; anything else gets a line for each.

    Args:
        console: Where to show them.
        piped: Whether anything but a terminal gets lines.
    """

    def __init__(self, console: Console, piped: bool = True) -> None:
        self._console = console
        self._piped = piped
        self._live: Live | None = None

    def __enter__(self) -> Steps:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def show(self, step: str) -> None:
        """Say that a step begins, such as "loading the data"."""
        if not self._console.is_terminal:
            if self._piped:
                self._console.print(f"{step} …", markup=False, highlight=False)
            return
        spinner = Spinner("dots", f"{step} …")
        if self._live is None:
            self._live = Live(
                spinner,
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        else:
            self._live.update(spinner, refresh=True)

    def close(self) -> None:
        """Make room for other output."""
        if self._live is not None:
            self._live.stop()
            self._live = None
