"""Do multiply-accumulates tell the latency of a student? Families at about equal counts of them.

For each family the width is found at which a network has the wanted multiply-accumulates, for one
image of 3×32×32. All of them are timed together by onnxruntime, as a study times its finalists:
interleaved runs of one image, one thread; medians, and the lowest and highest of the rounds.

    python tests/benchmarks/macs.py --json macs.json

With ``--quick`` one round.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

from command import carry_out, command_line
from measuring import machine
from rich.console import Console
from rich.table import Table

from kdsearch.graphs.stopwatch import Stopwatch, files_of
from kdsearch.models import build_network, measure_config, of_images
from kdsearch.problems import Head
from kdsearch.spec.concrete import ModelConfig

INPUTS = of_images((3, 32, 32))
CLASSES = 10
WANTED = 2_000_000
FAMILIES: Sequence[tuple[str, int | None]] = (
    ("vgg", 8),
    ("resnet", 8),
    ("resnet", 56),
    ("mobilenet_v2", None),
    ("shufflenet_v2", None),
)


def with_macs(family: str, depth: int | None, wanted: int) -> ModelConfig:
    """The network of a family whose multiply-accumulates come nearest, by halving the range."""
    low, high = 0.02, 4.0
    for _ in range(20):
        middle = (low * high) ** 0.5
        config = ModelConfig(family=family, depth=depth, width=middle)
        if measure_config(config, INPUTS, CLASSES).macs < wanted:
            low = middle
        else:
            high = middle
    return ModelConfig(family=family, depth=depth, width=high)


def run(rounds: int, console: Console) -> dict[str, Any]:
    """Sizes of the networks, and their latencies in each round."""
    heads = (Head(names=tuple(map(str, range(CLASSES)))),)
    rows, contents = [], []
    for family, depth in FAMILIES:
        config = with_macs(family, depth, WANTED)
        console.print(f"{family} {depth or ''} ×{config.width:.3g} …")
        size = measure_config(config, INPUTS, CLASSES)
        network = build_network(config, INPUTS, CLASSES)
        contents.append(files_of(network, heads, INPUTS, int8=False)[0])
        name = family if depth is None else f"{family}-{depth}"
        rows.append({"network": name, "parameters": size.parameters, "macs": size.macs})
    times = [Stopwatch().together(contents) for _ in range(rounds)]
    for row, taken in zip(rows, zip(*times, strict=True), strict=True):
        row["microseconds"] = [statistics.median(taken), min(taken), max(taken)]
    return {"machine": machine(), "networks": rows}


def table(found: dict[str, Any]) -> Table:
    """The networks, the fastest first."""
    shown = Table(title=f"about {WANTED:,} multiply-accumulates, one image of 3×32×32", box=None)
    for head in ("network", "parameters", "MACs", "µs in onnxruntime"):
        shown.add_column(head, justify="left" if head == "network" else "right")
    for row in sorted(found["networks"], key=lambda row: row["microseconds"][0]):
        middle, low, high = row["microseconds"]
        shown.add_row(
            row["network"],
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            f"{middle:,.0f} ({low:,.0f} to {high:,.0f})",
        )
    return shown


def main() -> None:
    options = command_line(__doc__ or "", "one round").parse_args()
    carry_out(options.json, partial(run, 1 if options.quick else 7), table)


if __name__ == "__main__":
    main()
