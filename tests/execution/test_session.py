"""The connection to Ray, on a real Ray of this machine and on a real cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster

from kdsearch.errors import StudyError
from kdsearch.execution.connection.address import check_address
from kdsearch.execution.connection.session import ray_session
from kdsearch.spec import StudySpec, parse_spec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray head with one core, which this process is not connected to."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def _own_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield
    assert not ray.is_initialized(), "a session must end what it started"


def test_a_ray_of_our_own_is_never_somebody_elses(spec: StudySpec, cluster: Cluster) -> None:
    check_address(cluster.address)
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(spec, None):
        assert ray.get_runtime_context().gcs_address != cluster.address
        assert ray.cluster_resources()["CPU"] == os.cpu_count()
        assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("resources.cpus_per_trial=9000", "a trial needs 9000 CPU and Ray has"),
        ("resources.gpus_per_trial=1", "a trial needs 1 GPU and Ray has 0"),
        ("teacher={model: {family: mlp}, workers: 64}", "lower teacher.workers"),
    ],
)
def test_this_machine_must_fit_every_training(spec_text: str, override: str, words: str) -> None:
    with (
        pytest.raises(StudyError, match=words),
        ray_session(parse_spec(spec_text, [override]), None),
    ):
        pytest.fail("the session must not start")


def test_a_cluster_may_grow_to_fit_a_trial(
    spec_text: str, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = parse_spec(spec_text, ["resources.gpus_per_trial=0.5"])
    with ray_session(spec, cluster.address):
        assert ray.get_runtime_context().gcs_address == cluster.address
    told = capsys.readouterr().err
    assert "a trial needs 0.5 GPU and the cluster has 0; waiting" in told
    assert "CPU" not in told


def test_each_trial_must_fit_one_node(spec_text: str) -> None:
    """Of nodes of 0, 1 and 2 cores, a trial of 3 fits none, though there are 3 in all."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        cluster.add_node(num_cpus=1, num_gpus=1)
        cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes()
        check_refused(
            parse_spec(spec_text, ["resources.cpus_per_trial=3"]),
            "a trial needs 3 CPU on one node, and no node has more than 2; lower",
            cluster,
        )
        words = ["resources.cpus_per_trial=2", "resources.gpus_per_trial=0.5"]
        check_refused(
            parse_spec(spec_text, words),
            "a trial needs 2 CPU on one node, and no node with a GPU has more than 1; lower",
            cluster,
        )
        fits = parse_spec(spec_text, ["resources.cpus_per_trial=2"])
        with ray_session(fits, cluster.address):
            assert ray.cluster_resources()["CPU"] == 3
    finally:
        cluster.shutdown()


def check_refused(spec: StudySpec, told: str, cluster: Cluster) -> None:
    with pytest.raises(StudyError, match=told), ray_session(spec, cluster.address):
        pytest.fail("the session must not start")


def test_a_machine_limited_to_half_a_core_has_one(
    spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray rounds the limit down to no core at all, on which nothing would ever run."""
    monkeypatch.setenv("RAY_USE_MULTIPROCESSING_CPU_COUNT", "1")
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 0)
    with ray_session(spec, None):
        assert ray.cluster_resources()["CPU"] == 1


class Where(tune.Trainable):
    """Tells where it runs."""

    def step(self) -> dict[str, object]:
        return {"folder": os.getcwd(), "done": True}


def test_a_relative_path_means_in_a_trial_what_it_means_before_it(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_CHDIR_TO_TRIAL_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    with ray_session(spec, None):
        storage = tune.RunConfig(storage_path=str(tmp_path / "tune"), verbose=0)
        (result,) = tune.Tuner(Where, run_config=storage).fit()
    assert result.metrics is not None
    assert result.metrics["folder"] == str(tmp_path)
