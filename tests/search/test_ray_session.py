from __future__ import annotations

import signal
from typing import Any

import pytest
import ray

from kdsearch.errors import ClusterError, StudyError
from kdsearch.search.study import ray_session
from kdsearch.spec import StudySpec


class PretendedRay:
    """Stands in for Ray's start; like the real one, it takes SIGTERM for itself."""

    def __init__(self, cpus: float) -> None:
        self.cpus = cpus
        self.arguments: dict[str, Any] = {}
        self.shut_down = False

    def init(self, **arguments: Any) -> None:
        self.arguments = arguments
        signal.signal(signal.SIGTERM, lambda *_: None)

    def shutdown(self) -> None:
        self.shut_down = True


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> PretendedRay:
    pretended = PretendedRay(cpus=2)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", pretended.init)
    monkeypatch.setattr(ray, "shutdown", pretended.shutdown)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": pretended.cpus})
    return pretended


def needing(spec: StudySpec, cpus: int, gpus: float = 0.0) -> StudySpec:
    resources = {"cpus_per_trial": cpus, "gpus_per_trial": gpus}
    return spec.model_copy(update={"resources": spec.resources.model_copy(update=resources)})


def test_a_ray_of_our_own_is_never_somebody_else_s(
    spec: StudySpec, pretended: PretendedRay
) -> None:
    with ray_session(spec, None):
        assert pretended.arguments["address"] == "local"
        assert not pretended.shut_down
    assert pretended.shut_down


def test_ray_does_not_keep_sigterm(spec: StudySpec, pretended: PretendedRay) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(spec, None):
        assert signal.getsignal(signal.SIGTERM) is before


def test_this_machine_must_fit_a_trial(spec: StudySpec, pretended: PretendedRay) -> None:
    with (
        pytest.raises(StudyError, match="a trial needs 3 CPU and Ray has 2; lower"),
        ray_session(needing(spec, 3), None),
    ):
        pytest.fail("the session must not start")
    assert pretended.shut_down


def test_a_cluster_may_grow_to_fit_a_trial(
    spec: StudySpec, pretended: PretendedRay, capsys: pytest.CaptureFixture[str]
) -> None:
    with ray_session(needing(spec, 2, gpus=0.5), "head:6379"):
        assert pretended.arguments["address"] == "head:6379"
    told = capsys.readouterr().err
    assert "a trial needs 0.5 GPU and the cluster has 0; waiting" in told
    assert "CPU" not in told


def test_a_refused_token_is_a_cluster_error(
    spec: StudySpec, pretended: PretendedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ray.exceptions.AuthenticationError("no token was found")

    monkeypatch.setattr(ray, "init", refuse)
    with (
        pytest.raises(ClusterError, match=r"cluster at head:6379 cannot be reached \(no token"),
        ray_session(spec, "head:6379"),
    ):
        pytest.fail("the session must not start")
