"""A storage of checkpoints that cannot be used: told before anything is written or trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_store import ObjectStore, closed_port, object_store, silent_port

from .command import Command, Told

OPTIONS = "scheme=http&region=us-east-1"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


def refused(kdsearch: Command, storage: str, *words: str) -> Told:
    start = time.monotonic()
    told = kdsearch("run", "spec.yaml", "--set", f"resources.storage={storage}", *words)
    assert time.monotonic() - start < 60  # of which the plan takes some
    assert told.code == 2
    assert told.sentence.endswith(", or set resources.storage to another place")
    return told


def test_nobody_listens(kdsearch: Command) -> None:
    with closed_port() as port:
        storage = f"s3://bucket/a?endpoint_override=127.0.0.1:{port}&{OPTIONS}"
        told = refused(kdsearch, storage)
    assert told.sentence.startswith(
        f"--set resources.storage={storage}: the storage {storage} cannot"
    )
    assert "Connection refused); start its server, or correct endpoint_override" in told.sentence


def test_nobody_answers(kdsearch: Command) -> None:
    with silent_port() as port:
        told = refused(kdsearch, f"s3://bucket/a?endpoint_override=127.0.0.1:{port}&{OPTIONS}")
    assert "(no answer within 14 s); start its server" in told.sentence


def test_the_bucket_is_missing(kdsearch: Command, store: ObjectStore) -> None:
    told = refused(kdsearch, store.uri("a", bucket="absent"))
    assert "(Bucket 'absent' not found" in told.sentence
    assert "make the bucket, or correct its name" in told.sentence


def test_the_credentials_are_wrong(
    kdsearch: Command, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    told = refused(kdsearch, store.uri("a"))
    assert "ACCESS_DENIED" in told.sentence
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may" in told.sentence


def test_a_dry_run_tells_it_too(kdsearch: Command, store: ObjectStore) -> None:
    told = refused(kdsearch, store.uri("a", bucket="absent"), "--dry-run")
    assert "(Bucket 'absent' not found" in told.sentence


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("s4://bucket/a", "Unrecognized filesystem type in URI: s4://bucket/a); correct it"),
        ("s3://bucket/a?endpoint=x", "Unexpected query parameter in S3 URI: 'endpoint')"),
        ("s3://buck et/a", "(Cannot parse URI: 's3://buck et/a'"),
        ("s3:///a", "(Missing bucket name in S3 URI); correct it, as in s3://bucket/folder"),
    ],
)
def test_a_uri_that_is_none(kdsearch: Command, storage: str, words: str) -> None:
    assert words in refused(kdsearch, storage).sentence


@pytest.mark.parametrize(
    ("storage", "shown"),
    [
        ("s3://AKIAEXAMPLE:se%2Fcret@bucket/a", "s3://***:***@bucket/a"),
        ("s3://AKIAEXAMPLE:se/cret@bucket/a", "s3://***:***@bucket/a"),
        ("s3://***:***@bucket/a", "s3://***:***@bucket/a"),
        ("s3://bucket/a?session_token=se/cret", "s3://bucket/a?session_token=***"),
        (
            "abfss://box:se/cret@name.dfs.core.windows.net",
            "abfss://box:***@name.dfs.core.windows.net",
        ),
    ],
)
def test_credentials_are_asked_from_the_environment(
    kdsearch: Command, storage: str, shown: str
) -> None:
    """Ray Tune keeps the URI of its storage in its files."""
    told = kdsearch("run", "spec.yaml", "--set", f"resources.storage={storage}")
    assert told.code == 2
    assert told.sentence.startswith(f"--set resources.storage={shown}: {shown} holds credentials")
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or" in told.sentence


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_that_cannot_be_made(kdsearch: Command, folder: Path, form: str) -> None:
    told = refused(kdsearch, form.format(folder / "spec.yaml" / "tune"))
    assert "spec.yaml is not a folder; fix that, or set resources.storage" in told.sentence
