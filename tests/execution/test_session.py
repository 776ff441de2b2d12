"""The connection to Ray, on a real Ray of this machine and on a real cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

from kdsearch.errors import ClusterError, StudyError
from kdsearch.execution.session import check_address, ray_session
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


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:1", "cannot be reached"), ("ray://127.0.0.1:1", "kdsearch submit")],
)
def test_an_address_that_cannot_serve_is_one_sentence(address: str, words: str) -> None:
    with pytest.raises((ClusterError, StudyError), match=words) as caught:
        check_address(address)
    assert "\n" not in str(caught.value)
