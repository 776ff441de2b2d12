"""An S3 server of the tests' own: with keys, and one that can be stopped and started again."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import requests
from moto import settings
from moto.server import ThreadedMotoServer

BUCKET = "checkpoints"
MAY = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


class ObjectStore:
    """A server in this process with one bucket; what is in it outlives a stop.

    Attributes:
        port: Where it listens.
        key: Name and secret of the one who may use it.
    """

    def __init__(self) -> None:
        self.start(0)
        self.port = self._server.get_host_and_port()[1]
        # the servers of one process share what they hold
        requests.post(f"http://127.0.0.1:{self.port}/moto-api/reset", timeout=10)
        self.client("s3").create_bucket(Bucket=BUCKET)
        users = self.client("iam")
        users.create_user(UserName="kdsearch")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [MAY]})
        users.put_user_policy(UserName="kdsearch", PolicyName="s3", PolicyDocument=policy)
        made = users.create_access_key(UserName="kdsearch")["AccessKey"]
        self.key: tuple[str, str] = made["AccessKeyId"], made["SecretAccessKey"]

    def start(self, port: int | None = None) -> None:
        self._server = ThreadedMotoServer(
            "127.0.0.1", self.port if port is None else port, verbose=False
        )
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def client(self, service: str) -> Any:
        name, secret = getattr(self, "key", ("anyone", "anyone"))
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=name,
            aws_secret_access_key=secret,
        )

    def uri(self, folder: str = "", bucket: str = BUCKET) -> str:
        """A storage there."""
        options = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"
        return f"s3://{bucket}/{folder}?{options}"

    def names(self, part: str) -> list[str]:
        """Names of the objects whose names hold a part, such as those of checkpoints."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = (each["Key"] for page in pages for each in page.get("Contents", []))
        return [name for name in found if part in name]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A server that refuses unknown keys, with the good one in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        store = ObjectStore()
        patch.setenv("AWS_ACCESS_KEY_ID", store.key[0])
        patch.setenv("AWS_SECRET_ACCESS_KEY", store.key[1])
        patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
        yield store
        store.stop()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken but at which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port at which connections are taken and nothing is ever said."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        yield silent.getsockname()[1]
