"""Medians of ratios with their intervals, and the machine that they were measured on."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and an interval that holds the true one with a probability of 95 %.

    The interval runs between two order statistics and supposes nothing about the distribution. Of
    fewer than six values it is their range, which holds the median with less (four: 87 %).
    """
    ordered = sorted(values)
    # each value is below the true median with probability ½
    below = accumulate(math.comb(len(ordered), number) for number in range(len(ordered)))
    cut = sum(count <= 0.025 * 2 ** len(ordered) for count in below)
    return statistics.median(ordered), ordered[max(cut, 1) - 1], ordered[-max(cut, 1)]


def ratio(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """The median of the ratios of values measured side by side, and its interval.

    Args:
        over: The numerator of each round.
        under: The denominator of each round.
    """
    middle, low, high = median_interval([a / b for a, b in zip(over, under, strict=True)])
    return {"ratio": middle, "low": low, "high": high, "rounds": len(over)}


def shown(figure: dict[str, float]) -> str:
    """A ratio with its interval, in words for a table."""
    return f"{figure['ratio']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def machine() -> dict[str, Any]:
    """What the measurement ran on, and how busy it was before."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
