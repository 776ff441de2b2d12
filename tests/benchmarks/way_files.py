"""Do ways make files smaller and faster? Bytes stored and as ONNX, and latency in onnxruntime.

Untrained students take one image of 3×32×32 or 3×8×8, and their weights are given each way's form
as at the end of a training. All files of a student are timed together, as a study times its
finalists: interleaved runs of one image, one thread; medians, and the lowest and highest of the
rounds.
``slower`` tells which need fewer multiply-accumulates than the student without a way, and more time
in each round.

    python tests/benchmarks/way_files.py --json way_files.json

With ``--quick`` one round.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from command import carry_out, command_line
from measuring import machine
from rich.console import Console, Group
from rich.table import Table

from kdsearch.data import Scale
from kdsearch.errors import ModelError
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.graphs.stopwatch import Stopwatch
from kdsearch.models import Network, build_network, measure, of_images
from kdsearch.problems import Head
from kdsearch.spec.concrete import ModelConfig
from kdsearch.ways import form_at_end, make_ways, way_configs

HEADS = (Head(names=tuple(map(str, range(10)))),)
STUDENTS: Sequence[tuple[str, int, int]] = (
    ("convnet", 3, 32),
    ("resnet", 14, 32),
    ("mlp", 3, 32),
    ("resnet", 14, 8),
)
"""Family, depth, and the side of an image."""
WAYS: Sequence[tuple[str, dict[str, float]]] = (
    ("none", {}),
    ("low_rank", {"rank": 0.5}),
    ("low_rank", {"rank": 0.25}),
    ("share", {}),
    ("sparse", {}),
    ("two_of_four", {}),
    ("codebook", {}),
    ("quantize", {"bits": 8}),
    ("quantize", {"bits": 4}),
    ("low_rank+quantize", {"low_rank.rank": 0.25}),
)
STEPS = 100
"""Of a training; each way has its form after the last."""


def formed(family: str, depth: int, side: int, label: str, values: dict[str, float]) -> Network:
    """An untrained student whose weights have the form of a way.

    Raises:
        ModelError: The way makes nothing of it.
    """
    torch.manual_seed(0)
    config = ModelConfig(family=family, width=1.0, depth=depth, ways=way_configs(label, values))
    network = build_network(config, of_images((3, side, side)), len(HEADS[0].names))
    form_at_end(network, make_ways(config.ways), STEPS)
    return network.eval()


def measured(family: str, depth: int, side: int, rounds: int) -> list[dict[str, Any]]:
    """Each way of a student: its sizes, and the latencies of all rounds."""
    rows, contents = [], []
    scales = {"image": Scale((0.5,) * 3, (0.5,) * 3)}
    for label, values in WAYS:
        try:
            network = formed(family, depth, side, label, values)
        except ModelError:
            continue
        size = measure(network)
        contents.append(to_onnx(SampleNetwork(network, HEADS, network.inputs, scales), {}))
        told = " ".join([label, *(f"{value:g}" for value in values.values())])
        row = {"way": told, "parameters": size.parameters, "macs": size.macs, "bytes": size.bytes}
        rows.append(row | {"onnx_bytes": len(contents[-1])})
    times = [Stopwatch().together(contents) for _ in range(rounds)]
    for row, taken in zip(rows, zip(*times, strict=True), strict=True):
        row["microseconds"] = [statistics.median(taken), min(taken), max(taken)]
        pairs = zip(taken, (each[0] for each in times), strict=True)
        row["slower"] = row["macs"] < rows[0]["macs"] and all(own > plain for own, plain in pairs)
    return rows


def run(rounds: int, console: Console) -> dict[str, Any]:
    """The rows of each student."""
    found: dict[str, Any] = {"machine": machine(), "students": {}}
    for family, depth, side in STUDENTS:
        name = f"{family}-{depth}, {side}×{side}"
        console.print(f"{name} …")
        found["students"][name] = measured(family, depth, side, rounds)
    return found


def show(found: dict[str, Any]) -> Group:
    """A table for each student."""
    return Group(*(_table(name, rows) for name, rows in found["students"].items()))


def _table(name: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column(name)
    for column in ("parameters", "MACs", "bytes", "ONNX bytes", "µs"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        middle, low, high = row["microseconds"]
        sizes = (f"{row[size]:,}" for size in ("parameters", "macs", "bytes", "onnx_bytes"))
        told = "fewer MACs, slower" if row["slower"] else ""
        table.add_row(row["way"], *sizes, f"{middle:.0f} ({low:.0f}–{high:.0f})", told)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    options = command_line(__doc__, "one round").parse_args(arguments)
    carry_out(options.json, partial(run, 1 if options.quick else 9), show)


if __name__ == "__main__":
    main()
