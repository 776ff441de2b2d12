"""What the benchmarks share: their figures are right, and a run is not lost at its end."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from subprocess import PIPE, Popen
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import quantile_test
from scipy.stats import t as student
from sklearn.datasets import load_digits


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a benchmark's module by its plain name, as the scripts do."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module


@pytest.fixture
def command(module: Any) -> ModuleType:
    return module("command")


@pytest.mark.parametrize("count", [6, 7, 9, 20, 41])
def test_the_interval_of_a_median_is_scipys(module: Any, count: int) -> None:
    values = np.random.default_rng(count).normal(size=count).tolist()
    middle, low, high = module("measuring").median_interval(values)
    expected = quantile_test(values, p=0.5).confidence_interval(0.95)
    assert middle == pytest.approx(np.median(values))
    assert (low, high) == (expected.low, expected.high)


def test_a_few_values_have_their_range_as_interval(module: Any) -> None:
    assert module("measuring").median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def test_a_ratio_is_taken_round_by_round(module: Any) -> None:
    figure = module("measuring").ratio([2.0, 30.0, 4.0], [1.0, 10.0, 1.0])
    assert figure == {"ratio": 3.0, "low": 2.0, "high": 4.0, "rounds": 3}


@pytest.mark.parametrize("place", ["missing/found.json", ""])
def test_results_that_cannot_be_written_are_refused_at_once(
    command: ModuleType, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = command.command_line("A benchmark.", quick="less")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--json", str(tmp_path / place)])
    assert ended.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_figures_are_written_and_shown(
    command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    options = command.command_line("A benchmark.", quick="less").parse_args(["--json", str(file)])
    assert list(tmp_path.iterdir()) == []
    command.carry_out(options.json, lambda console: {"figure": 1.5}, lambda found: str(found))
    assert json.loads(file.read_text()) == {"figure": 1.5}
    shown = capsys.readouterr().out
    assert "{'figure': 1.5}" in shown
    assert "minutes" in shown


def test_memory_is_that_of_a_process_and_its_children(module: Any) -> None:
    weighing = module("memory_weighing")
    waits = [sys.executable, "-c", "print('there', flush=True); input()"]
    with Popen(waits, stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        assert {os.getpid(), child.pid} <= set(weighing.processes_below(os.getpid()))
        assert weighing.processes_below(child.pid) == [child.pid]
        found = sum(size for _, size in weighing.mapped(child.pid, "/nowhere"))
        expected = _kernels_sum(child.pid)
        child.communicate("\n")
    assert found == pytest.approx(expected, rel=0.05)


def _kernels_sum(process: int) -> int:
    """Proportional bytes of a process, added up by the kernel."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_the_figures_of_an_exported_network(module: Any) -> None:
    export, of = module("export"), module("export_cases")
    case = of.Case("mlp", "digits", of.ModelConfig(family="mlp", depth=1), 2)
    found = export.row(case, *of.trained(case, None), rounds=2)
    assert found["parameters"] == 65 * 128 + 129 * 10
    assert found["difference"] < 1e-5
    assert found["int8_bytes"] < found["bytes"]
    assert found["metric"] == "accuracy"
    assert abs(found["int8_score"] - found["score"]) < 0.02
    assert 0 < found["onnx_us"] < 1e6


def test_starts_are_compared_seed_by_seed(module: Any) -> None:
    pretrained = module("pretrained")
    rng = np.random.default_rng(0)
    scores = {
        (start, method): rng.uniform(size=3)
        for start in pretrained.STARTS
        for method in pretrained.METHODS
    }
    runs = [
        {"start": s, "method": m, "lr": 0.1, "seed": seed, "test": value, "seconds": 1.0}
        for (s, m), values in scores.items()
        for seed, value in enumerate(values)
    ]
    found = {(row["start"], row["method"]): row for row in pretrained.rows(runs)}
    assert found.keys() == scores.keys()
    for (start, method), row in found.items():
        own = scores[start, method]
        for name, base in (("over_plain", start), ("over_random", "random")):
            gains = own - scores[base, "none"]
            assert row[name] == pytest.approx(gains.mean())
            half = student.ppf(0.975, 2) * gains.std(ddof=1) / np.sqrt(3)
            assert row[f"{name}_ci"] == pytest.approx(half)
        assert row["test"] == pytest.approx(own.mean())


def test_the_best_rate_of_each_start_is_that_on_validation(module: Any) -> None:
    runs = [
        {"start": s, "lr": lr, "validation": v}
        for s, lr, v in (("a", 1, 0.2), ("a", 2, 0.3), ("b", 1, 0.5), ("b", 2, 0.1))
    ]
    best = module("seeded").best_of(runs, "start")
    assert {start: run["lr"] for start, run in best.items()} == {"a": 2, "b": 1}


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of MNIST's form: scikit-learn's digits in 28×28 pixels."""
    root = tmp_path_factory.mktemp("mnist")
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    found = load_digits()
    images = np.pad((found.images * (255 / 16)).repeat(3, 1).repeat(3, 2)[:, 2:22, 2:22], 4)[4:-4]
    for name, part in (("train", slice(0, 600)), ("t10k", slice(600, 900))):
        for kind, values in (("images-idx3", images[part]), ("labels-idx1", found.target[part])):
            content = values.astype(np.uint8)
            head = np.array([0x0800 + content.ndim, *content.shape], dtype=">i4").tobytes()
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + content.tobytes())
    return root


def test_mnist_is_shrunken_by_area(module: Any) -> None:
    """Each of the 8×8 fields has 2.5 pixels a side, of which it counts what lies in it."""
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    edges = 4 + 2.5 * np.arange(9)
    shares = np.clip(
        np.minimum(edges[1:, None], np.arange(28) + 1) - np.maximum(edges[:-1, None], range(28)),
        0,
        None,
    )
    expected = np.einsum("yh,nhw,xw->nyx", shares, images, shares) / 2.5**2
    found = module("domains_training").shrunken(images)
    assert found.shape == (3, 8, 8)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_a_method_of_two_domains_is_tuned_and_trained(
    module: Any, small_mnist: Path, tmp_path: Path
) -> None:
    of = module("domains_training")
    setting = of.Setting(samples=200, epochs=1, teacher_epochs=1, tries=2, seeds=1)
    bench = of.Bench(setting, small_mnist, tmp_path / "teacher.safetensors")
    domain = bench.data.train.domain
    assert domain is not None
    labelled = bench.data.train.labels >= 0
    assert int((~domain).sum()) == int(labelled.sum()) == 200
    assert not bool((labelled & domain).any())
    assert 0 <= bench.teach()["source"] <= 1
    one, other = of.configurations(bench.spec, "kd+coral", 2)
    assert one["training"]["lr"] != other["training"]["lr"]
    assert one["values"]["coral.weight"] != other["values"]["coral.weight"]
    run = bench.train(("kd+coral", one, 1))
    assert {0 <= run[name] <= 1 for name in ("validation", "target", "source")} == {True}
    assert "target" not in bench.train(("none", of.configurations(bench.spec, "none", 2)[0], 0))


def test_domains_are_compared_seed_by_seed(module: Any) -> None:
    domains, rng = module("domains"), np.random.default_rng(0)
    scores = {method: rng.uniform(size=3) for method in domains.METHODS}
    chosen = {"training": {"lr": 0.1}, "values": {}}
    runs = [
        {"method": m, "chosen": chosen, "seed": s, "target": v, "source": v / 2, "seconds": 1.0}
        for m, values in scores.items()
        for s, v in enumerate(values)
    ]
    found = {row["method"]: row for row in domains.rows(runs)}
    assert found.keys() == scores.keys()
    for method, row in found.items():
        gains = scores[method] - scores["none"]
        half = student.ppf(0.975, 2) * gains.std(ddof=1) / np.sqrt(3)
        assert row["gain"] == pytest.approx(gains.mean())
        assert row["gain_ci"] == pytest.approx(half)
        assert row["source"] == pytest.approx(scores[method].mean() / 2)
    assert domains.table({"methods": list(found.values()), "teacher": runs[0]}).row_count == 11


def test_a_benchmark_that_was_cut_off_goes_on(module: Any, tmp_path: Path) -> None:
    done: list[int] = []

    def do(jobs: Any) -> Any:
        for job in jobs:
            if job == 3 and len(done) == 2:
                raise KeyboardInterrupt
            done.append(job)
            yield {"square": job * job}

    kept, file = module("side_by_side").kept, tmp_path / "squares.jsonl"
    with pytest.raises(KeyboardInterrupt):
        list(kept(file, ("a",), do, [1, 2, 3, 4]))
    assert done == [1, 2]
    assert list(kept(file, ("a",), do, [4, 2, 3, 1])) == [{"square": j * j} for j in (4, 2, 3, 1)]
    assert done == [1, 2, 4, 3]
    # of other arguments nothing is known
    assert list(kept(file, ("b",), do, [1])) == [{"square": 1}]
    assert done == [1, 2, 4, 3, 1]
