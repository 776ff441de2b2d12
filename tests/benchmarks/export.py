"""ONNX files beside the networks in PyTorch: differences, accuracy in 8 bits, latency, seconds.

    python tests/benchmarks/export.py --data PATH --json export.json

Every family of kdsearch, and every kind of network that a study ships, is trained for a short while
and written as an ONNX file in float32 and in 8 bits. The largest difference is that between
onnxruntime and PyTorch over the test; the loss is that of the test score through quantization.
Latency is that of one sample, normalisation included, on one thread: medians of rounds in which
PyTorch and both files take turns. Seconds are those of CPU for writing and for quantizing, after
the imports. torchvision's networks are not trained, so that they have no score.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import carry_out, command_line
from export_cases import Case, cases, trained
from measuring import machine
from rich.console import Console
from rich.table import Table

from kdsearch.data import Dataset
from kdsearch.graphs.compare import compare
from kdsearch.graphs.int8_file import CALIBRATION, to_int8
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork, samples_of
from kdsearch.graphs.scores import scores_of, split_outputs

ROUNDS, PASSES = 21, 10


def measure(told: Console, quick: bool, root: Path | None) -> dict[str, Any]:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"machine": machine(), "rows": []}
    _warm_up()
    for case in cases(quick, root):
        told.print(f"{case.name} on {case.data}")
        found["rows"].append(row(case, *trained(case, root), rounds=5 if quick else ROUNDS))
    return found


def _warm_up() -> None:
    """Import what export needs, once."""
    case = next(cases(True, None))
    module, data = trained(Case(case.name, "digits", case.model, 0), None)
    to_int8(to_onnx(module, {}), samples_of(data.train, module.inputs, 32))


def row(case: Case, module: SampleNetwork, data: Dataset, rounds: int) -> dict[str, Any]:
    """The figures of a network."""
    start = time.process_time()
    content = to_onnx(module, metadata_of(module))
    written = time.process_time()
    small = to_int8(content, samples_of(data.train, module.inputs, CALIBRATION))
    quantized = time.process_time()
    sessions = Session(content), Session(small)
    floats, bytes_ = (split_outputs(each, data.test) for each in sessions)
    samples = samples_of(data.test, module.inputs)
    return {
        "name": case.name,
        "data": case.data,
        "parameters": sum(each.numel() for each in module.parameters()),
        "difference": compare(floats, module, samples, "ONNX file", tolerance=np.inf),
        **_scores(case, floats, bytes_, data),
        "bytes": len(content),
        "int8_bytes": len(small),
        "seconds": written - start,
        "int8_seconds": quantized - written,
        **_latencies(module, sessions, {name: each[:1] for name, each in samples.items()}, rounds),
    }


def _scores(case: Case, floats: np.ndarray, small: np.ndarray, data: Dataset) -> dict[str, Any]:
    if not case.epochs:
        return {}
    name = data.problem.objective
    before, after = (scores_of(each, data.test, data.problem)[name] for each in (floats, small))
    return {"metric": name, "score": before, "int8_score": after}


def _latencies(
    module: SampleNetwork, sessions: tuple[Session, Session], one: dict[str, Any], rounds: int
) -> dict[str, float]:
    """Median microseconds of one sample, in turns."""
    tensors = [torch.from_numpy(one[name]) for name in module.inputs]
    runs: dict[str, Callable[[], Any]] = {
        "torch_us": lambda: module(*tensors),
        "onnx_us": lambda: sessions[0].outputs(one),
        "int8_us": lambda: sessions[1].outputs(one),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        for _ in range(rounds):
            for name, run in runs.items():
                run()
                start = time.perf_counter()
                for _ in range(PASSES):
                    run()
                taken[name].append((time.perf_counter() - start) / PASSES)
    return {name: 1e6 * float(np.median(each)) for name, each in taken.items()}


def show(found: dict[str, Any]) -> Table:
    heads = ("network", "data", "parameters", "difference", "score", "int8", "kB", "µs", "CPU s")
    table = Table(*heads, box=None, pad_edge=False)
    for row in found["rows"]:
        score, loss = "not trained", ""
        if "score" in row:
            share = row["metric"] == "accuracy"
            score = f"{row['score']:.2%}" if share else f"{row['metric']} {row['score']:.2f}"
            lost = row["int8_score"] - row["score"]
            loss = f"{100 * lost:+.2f}" if share else f"{lost:+.2f}"
        table.add_row(
            *(row["name"], row["data"], f"{row['parameters']:,}", f"{row['difference']:.0e}"),
            *(score, loss, f"{row['bytes'] / 1e3:,.0f}, {row['int8_bytes'] / 1e3:,.0f}"),
            ", ".join(f"{row[name]:,.0f}" for name in ("torch_us", "onnx_us", "int8_us")),
            f"{row['seconds']:.1f}, {row['int8_seconds']:.1f}",
        )
    return table


def main() -> None:
    parser = command_line(__doc__, quick="three families, trained for an epoch")
    parser.add_argument("--data", type=Path, metavar="PATH", help="folder of Fashion-MNIST")
    chosen = parser.parse_args()
    carry_out(chosen.json, lambda told: measure(told, chosen.quick, chosen.data), show)


if __name__ == "__main__":
    main()
