"""Proxies: for other machines only."""

from __future__ import annotations

import os
from urllib.request import getproxies

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def reach_this_machine_directly() -> None:
    """Let servers of this machine be reached without the proxy that the environment names.

    A proxy would look for them on its own machine. What ``no_proxy`` holds is kept.
    """
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip() for name in known.split(",") if name.strip()]
    if not getproxies() or "*" in names:
        return
    names += [name for name in _THIS_MACHINE if name not in names]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(names)
