"""Passwords, tokens and keys in URIs: what is masked, and what stays to be read."""

from __future__ import annotations

import json
import string
import time
from urllib.parse import quote

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kdsearch.errors import RunError, SpecError, one_line
from kdsearch.redaction import holds_secret, redacted, redacted_uri
from kdsearch.spec.masking import masked_setting, masked_text

MASKED = [
    # user and password
    ("postgresql://me:secret@db:5432/mlflow", "postgresql://me:***@db:5432/mlflow"),
    ("mysql+pymysql://me:a/b@db/mlflow", "mysql+pymysql://me:***@db/mlflow"),
    ("postgresql://me:12/34@db/mlflow", "postgresql://me:***@db/mlflow"),
    ("http://me:a@b:c@mlflow", "http://me:***@mlflow"),
    ("http://me:se%2Fcret%40@mlflow:5000/x", "http://me:***@mlflow:5000/x"),
    ("http://:secret@mlflow", "http://:***@mlflow"),
    ("http://me@corp.com:secret@mlflow", "http://me@corp.com:***@mlflow"),
    ("HTTPS://me:secret@mlflow", "HTTPS://me:***@mlflow"),
    ("http://me:12345@[::1]:5000/", "http://me:***@[::1]:5000/"),
    ("http://me:a#b?c@mlflow", "http://me:***@mlflow"),
    ("s3:/key:secret@bucket/a", "s3:/***:***@bucket/a"),  # as a path writes it
    # keys and tokens for names
    ("s3://AKIAEXAMPLE:sec/ret@bucket/a?region=x", "s3://***:***@bucket/a?region=x"),
    ("https://dapi0123456789abcdef0123@cloud/x", "https://***@cloud/x"),
    ("https://dapi0123456789abcdef0123:@cloud/x", "https://***:***@cloud/x"),
    # options
    ("postgresql://db/x?user=me&password=sec;ret", "postgresql://db/x?user=me&password=***"),
    ("mysql://db/x?passwd=secret&charset=utf8", "mysql://db/x?passwd=***&charset=utf8"),
    ("mssql://db?x=1;pwd=secret", "mssql://db?x=1;pwd=***"),
    ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dx", "mssql+pyodbc:///?odbc_connect=***"),
    (
        "s3://b/a?access_key=k&secret_key=s&region=x",
        "s3://b/a?access_key=***&secret_key=***&region=x",
    ),
    ("s3://b/a?session_token=t#x", "s3://b/a?session_token=***"),
    ("s3://b?X-Amz-Signature=s&X-Amz-Date=1", "s3://b?X-Amz-Signature=***&X-Amz-Date=1"),
    ("http://h/?pass%77ord=secret", "http://h/?pass%77ord=***"),
    ("http://h/#access_token=secret", "http://h/#access_token=***"),
    ("http://h/?a=b#access_token=secret", "http://h/?a=b#access_token=***"),
    (
        "abfss://box@a.dfs.core.windows.net/p?sig=s%3D",
        "abfss://box@a.dfs.core.windows.net/p?sig=***",
    ),
    (
        "s3://b/a?endpoint_override=u:p@host:9&scheme=http",
        "s3://b/a?endpoint_override=***&scheme=http",
    ),
    ("s3://b?endpoint_override=http%3A%2F%2Fu%3Ap%40h", "s3://b?endpoint_override=***"),
]
"""URIs with a secret, and how they may be shown."""

PLAIN = [
    "sqlite:////home/me/mlflow.db",
    "sqlite:////home/me/a:b@c.db",
    "http://mlflow:5000",
    "http://mlflow:5000/team@home",
    "http://[::1]:5000/a:b@c",
    "http://me@mlflow:5000/#/experiments/7",
    "postgresql://me@db/mlflow?sslmode=require&sslkey=client.key",
    "s3://bucket/folder?endpoint_override=127.0.0.1:9000&scheme=http&region=us-east-1",
    "gs://anonymous@bucket/folder",
    "abfss://container-with-a-long-name@a.dfs.core.windows.net/p",
    "databricks://profile",
    "file:///shared/tune",
    "torchvision/resnet18",
    "my_module:MyMethod",
    "studies/a@b:c",
    "students/***/x",
]


@pytest.mark.parametrize(("uri", "shown"), [*MASKED, *((uri, uri) for uri in PLAIN)])
def test_what_is_secret_is_masked_and_nothing_else(uri: str, shown: str) -> None:
    assert redacted_uri(uri) == shown
    assert redacted_uri(shown) == shown
    assert holds_secret(uri) is holds_secret(shown) is (uri != shown)
    assert redacted(f"to {uri} it goes ('{uri}'); at {uri}.") == (
        f"to {shown} it goes ('{shown}'); at {shown}."
    )
    assert masked_setting(f"tracking.uri={uri}") == f"tracking.uri={shown}"


SCHEMES = ["http", "https", "postgresql", "mysql+pymysql", "mssql", "s3", "gs", "abfss", "odd-one"]
FORMS = [
    "{scheme}://me:{secret}@host:99/path?x=1",
    "{scheme}://:{secret}@host",
    "{scheme}://me:{secret}@[::1]:5000",
    "{scheme}://me%40corp:{secret}@host/a@b?mail=c@d",
    "{scheme}://host/path?user=me&password={secret}&x=1",
    "{scheme}://me:{secret}@host?secret_key={secret}",
    "{scheme}:///folder?x=1&session_token={secret}",
    "{scheme}://host?endpoint_override=me:{secret}@other",
]
# none that is found in what is not secret, or in the mask
_secrets = st.text(min_size=4).map(lambda text: f"{text}Q7")
_raw = st.text(string.printable, min_size=4).map(lambda text: f"{text}Q7")


def stands_in(secret: str, text: str) -> bool:
    return secret in text or "Q7" in text


@settings(max_examples=120)
@given(st.sampled_from(FORMS), st.sampled_from(SCHEMES), _secrets)
def test_no_encoded_password_is_shown(form: str, scheme: str, secret: str) -> None:
    uri = form.format(scheme=scheme, secret=quote(secret, safe=""))
    assert not stands_in(secret, redacted_uri(uri))
    assert not stands_in(secret, redacted(f"at {uri}, it seems"))
    document = f"# once {uri}\ntracking: {{uri: {json.dumps(uri)}}}  # now\nother: |\n  {uri}\n"
    assert not stands_in(secret, masked_text(document))
    assert "uri: " in masked_text(document)
    assert not stands_in(secret, str(SpecError(f"--set tracking.uri={uri}: wrong")))


@settings(max_examples=120)
@given(st.sampled_from(FORMS), st.sampled_from(SCHEMES[2:]), _raw)
def test_no_password_is_shown_that_breaks_the_rules_of_uris(
    form: str, scheme: str, secret: str
) -> None:
    """With slashes, colons, question marks, white space and what else is on a keyboard."""
    assume("&" not in secret)  # begins the next option
    uri = form.format(scheme=scheme, secret=secret)
    assert not stands_in(secret, redacted_uri(uri))
    quoted = yaml.dump({"tracking": {"uri": uri}}, width=10**6, allow_unicode=True)
    assert not stands_in(secret, masked_text(quoted))
    assert yaml.safe_load(masked_text(quoted)) == {"tracking": {"uri": redacted_uri(uri)}}
    folded = yaml.dump({"tracking": {"uri": uri}}, default_style=">")
    assert yaml.safe_load(masked_text(folded)) == {"tracking": {"uri": redacted_uri(uri)}}
    # a library may quote any part of it
    part = uri.partition("://")[2]
    assert not stands_in(secret, one_line(f"cannot parse {secret!s} in {part}", uri))


def test_of_a_file_all_else_stays_as_it_was() -> None:
    text = (
        "# before: http://me:one@h\n"
        "tracking:   # a comment, http://me:two@h/x?a=1 in it\n"
        "  uri: &u 'http://me:three''s@h'   # kept\n"
        "resources: {storage: s3://a:four@b/c, concurrent: 2}\r\n"
        'data: {"options": ["http:\\/\\/me:five@h", *u, plain:x@y]}\n'
        "block: |\n  http://me:six@h\n\nlast: http://h:80/a@b"
    )
    assert masked_text(text) == (
        "# before: http://me:***@h\n"
        "tracking:   # a comment, http://me:***@h/x?a=1 in it\n"
        '  uri: &u "http://me:***@h"   # kept\n'
        "resources: {storage: s3://***:***@b/c, concurrent: 2}\r\n"
        'data: {"options": ["http://me:***@h", *u, plain:x@y]}\n'
        "block: |\n  http://me:***@h\n\nlast: http://h:80/a@b"
    )


def test_every_error_of_kdsearch_masks_its_message() -> None:
    error = SpecError("see http://me:secret@h", "space.yaml", 1)
    assert (str(error), error.message) == (
        "space.yaml:1: see http://me:***@h",
        "see http://me:***@h",
    )
    assert str(RunError("at postgresql://me:secret@h")) == "at postgresql://me:***@h"


def test_a_long_text_is_quick() -> None:
    for text in (
        "a" * 10**6,
        "http://" * 10**5,
        "http://a:" + "@" * 10**6,
        "http://a?" + "a=b&" * 10**5,
        "http://a?" + "a=b;" * 10**5,
        "http://a?" + "key=b;" * 10**5,
    ):
        start = time.process_time()
        assert redacted(text, text)
        assert time.process_time() - start < 100
