"""How workers start and end: with what they need alone, and with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdsearch.data import MappedImages, Scale, Split, WorkerFeed
from kdsearch.data.feeds.processes import without_main
from kdsearch.errors import DataError
from kdsearch.spec.sections import Augmentation
from tests.data.feeds.processes import wait_until_gone
from tests.interrupts import interruptible

MakeSplit = Callable[..., Split]
Mapped = Callable[[Split], Split]

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is Linux's")


def test_the_main_script_is_hidden_for_a_while_alone() -> None:
    main = sys.modules["__main__"].__dict__
    before = {name: main.get(name, "absent") for name in ("__file__", "__spec__")}
    with without_main():
        assert not main.get("__file__")
        assert main["__spec__"] is None
    assert {name: main.get(name, "absent") for name in before} == before


_SCRIPT = """
print("the script runs", flush=True)
import multiprocessing, sys, time
from pathlib import Path
import torch
from kdsearch.data import MappedImages, Scale, Split, Views, WorkerFeed

split = Split.of_classes(MappedImages(Path(sys.argv[1]), torch.arange(37)), torch.zeros(37).long())
scales = {"image": Scale((0.5,) * 3, (0.2,) * 3)}
feed = WorkerFeed(Views(split, scales, None, 0), "cpu", workers=2)
for _ in feed.batches([torch.arange(4)] * 10_000, 0):
    break
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(
    make_split: MakeSplit, mapped: Mapped, tmp_path: Path, short_folder: Path, by: signal.Signals
) -> None:
    images = mapped(make_split()).images
    assert isinstance(images, MappedImages)
    script = tmp_path / "train.py"
    script.write_text(_SCRIPT)
    with interruptible():
        started = subprocess.Popen(
            [sys.executable, script, images.file],
            env=os.environ | {"TMPDIR": str(short_folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    assert started.stdout is not None
    # The script has no guard of its main part: its workers must not run it again.
    assert started.stdout.readline() == "the script runs\n"
    workers = {int(pid) for pid in started.stdout.readline().split()}
    assert len(workers) == 2
    session = {int(path.name) for path in Path("/proc").glob("[0-9]*") if in_session(path, started)}
    assert workers < session
    if by == signal.SIGINT:
        os.killpg(started.pid, by)  # as a terminal does
    else:
        started.kill()
    output, errors = started.communicate(timeout=120)
    assert output == ""
    assert errors.count("Traceback") == (1 if by == signal.SIGINT else 0)
    wait_until_gone(session)


def in_session(process: Path, leader: subprocess.Popen[str]) -> bool:
    try:
        return os.getsid(int(process.name)) == leader.pid
    except ProcessLookupError:
        return False


def test_workers_import_nothing_heavy_and_run_on_one_thread(
    mapped: Mapped, make_split: MakeSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = """
    import signal, sys, torch
    from kdsearch.data import Views
    from kdsearch.errors import DataError

    class Probe(Views):
        def inputs(self, index, epoch):
            heavy = {"ray", "mlflow", "optuna", "torchvision", "scipy"} & set(sys.modules)
            ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            raise DataError(f"{sorted(heavy)} {torch.get_num_threads()} {ignored}")
    """
    (tmp_path / "probe_of_a_worker.py").write_text(textwrap.dedent(probe))
    monkeypatch.syspath_prepend(tmp_path)
    from probe_of_a_worker import Probe  # type: ignore[import-not-found]

    change = Augmentation(crop=2, flip=True, cutout=3, mixup=0.4)
    views = Probe(
        mapped(make_split()), {"image": Scale((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))}, change, 4
    )
    feed = WorkerFeed(views, "cpu", 1)
    with pytest.raises(DataError, match=r"^\[\] 1 True$"):
        list(feed.batches([torch.arange(4)], 0))


_IN_RAY = """
import sys
from pathlib import Path
import ray, torch

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
         object_store_memory=80_000_000)

@ray.remote
class Trial:
    def train(self, file):
        import multiprocessing
        from kdsearch.data import MappedImages, Scale, Split, Views, WorkerFeed
        split = Split.of_classes(MappedImages(Path(file), torch.arange(37)), torch.arange(37) % 4)
        views = Views(split, {"image": Scale((0.5,) * 3, (0.2,) * 3)}, None, 0)
        self.feed = WorkerFeed(views, "cpu", workers=2)
        parts = torch.arange(37).split(4)
        pairs = zip(parts, self.feed.batches(parts, 0), strict=True)
        same = all(torch.equal(found.inputs["image"], views.batch(index, 0).inputs["image"])
                   for index, found in pairs)
        pids = [child.pid for child in multiprocessing.active_children()]
        loaded = [Path(f"/proc/{pid}/maps").read_text() for pid in pids]
        return same, any("_raylet" in text for text in loaded), pids

trial = Trial.remote()
print(*ray.get(trial.train.remote(sys.argv[1])))
ray.kill(trial)
"""


@pytest.mark.slow
def test_workers_serve_an_actor_of_ray_and_end_when_it_is_killed(
    make_split: MakeSplit, mapped: Mapped, short_folder: Path
) -> None:
    images = mapped(make_split()).images
    assert isinstance(images, MappedImages)
    run = subprocess.run(
        [sys.executable, "-c", _IN_RAY, images.file],
        env=os.environ | {"TMPDIR": str(short_folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    same, imports_ray, *pids = run.stdout.replace(",", " ").replace("[", " ").split()
    assert (same, imports_ray) == ("True", "False")
    workers = {int(pid.strip("]")) for pid in pids}
    assert len(workers) == 2
    wait_until_gone(workers)
