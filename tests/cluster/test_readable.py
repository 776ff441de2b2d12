"""A job can be read by all who see it: nothing with a password in it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.cluster.submit import submit_study
from kdsearch.errors import SpecError
from tests.cluster.conftest import FakeJobServer

SECRET = "Zq7pass"
URI = f"http://me:{SECRET}@mlflow:5000"
ANYWHERE = "let the job find it in the cluster's environment"
FOR_MLFLOW = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the cluster's environment"


@pytest.mark.parametrize(
    ("overrides", "place", "remedy"),
    [
        ([f"tracking.uri={URI}"], "--set tracking.uri=http://me:***@mlflow:5000: ", FOR_MLFLOW),
        (["tracking.uri=http://me:***@mlflow:5000"], "--set tracking.uri=", FOR_MLFLOW),
        (
            [f"resources.storage=s3://key:{SECRET}@bucket/a"],
            "--set resources.storage=s3://***:***@bucket/a: resources.storage (s3",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        ([f"data.options={{a: [x, '{URI}']}}"], "--set data.options=", ANYWHERE),
        ([f"tracking.uri={URI}", "tracking.uri=http://m"], "--set tracking.uri=", ANYWHERE),
    ],
)
def test_an_override_with_a_password_is_not_sent(
    fake_server: FakeJobServer, spec_file: Path, overrides: list[str], place: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as caught:
        submit_study(spec_file, overrides, fake_server.address, follow=False)
    assert str(caught.value).startswith(place)
    assert remedy in str(caught.value)
    assert SECRET not in str(caught.value)
    assert fake_server.asked == []


@pytest.mark.parametrize(
    ("line", "place", "remedy"),
    [
        (f"# once {URI}", "tiny.yaml:9: the line holds a secret", ANYWHERE),
        (
            f"resources: {{storage: 's3://k:{SECRET}@b'}}",
            "tiny.yaml:9:13: resources.storage",
            "AWS_",
        ),
    ],
)
def test_a_file_with_a_password_is_not_sent(
    fake_server: FakeJobServer, spec_file: Path, line: str, place: str, remedy: str
) -> None:
    spec_file.write_text(spec_file.read_text() + line + "\n")
    with pytest.raises(SpecError) as caught:
        submit_study(spec_file, [], fake_server.address, follow=False)
    assert place in str(caught.value)
    assert remedy in str(caught.value)
    assert SECRET not in str(caught.value)
    assert fake_server.asked == []


def test_a_shell_s_store_with_a_password_is_not_sent(
    fake_server: FakeJobServer, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    with pytest.raises(SpecError, match=FOR_MLFLOW) as caught:
        submit_study(spec_file, ["tracking.uri=null"], fake_server.address, follow=False)
    assert str(caught.value).startswith("MLFLOW_TRACKING_URI (http://me:***@mlflow:5000) holds")
    assert fake_server.asked == []
    submit_study(spec_file, [], fake_server.address, follow=False)  # which does not need it
    assert SECRET not in str(fake_server.jobs)


def test_the_server_s_own_password_is_not_printed(
    fake_server: FakeJobServer, spec_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address = fake_server.address.replace("//", f"//me:{SECRET}@")
    assert submit_study(spec_file, [], address, follow=False) == 0
    out, err = capfd.readouterr()
    assert "submitted to http://me:***@127.0.0.1" in out
    assert SECRET not in out + err + str(fake_server.jobs)
