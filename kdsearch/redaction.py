"""Passwords, tokens and keys that stand in URIs: masked wherever a text is kept or shown.

Of a URI the scheme, the user, the host, the path and plain options stay, so that one still sees
which store or server is meant. Where it cannot be told what is secret, more is masked, not less:
a password may hold any character and ends at the last ``@``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

MASK = "***"
"""Stands where a secret was."""

_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]{1,30}):/{1,2}"  # one slash is what a path leaves of two
_HEAD = re.compile(rf"\s*{_SCHEME}")
_IN_TEXT = re.compile(rf"{_SCHEME}\S*")
_LOGIN = re.compile(r"([^/:?#]*):(.*)@", re.DOTALL)
_TOKEN_ALONE = re.compile(r"([A-Za-z0-9_-]{20,})@")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,}")
_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]*\](?::\d{1,5})?|[^/:?#\s]*:\d{1,5})(?:[/?#]|$)")
_OPTION = re.compile(r"(?<=[?&;#])([^=&;#?]+)=([^&]*)")
_OPTION_WITHIN = re.compile(r"[;#?]([^=;#?]+)=")
_SECRET_OPTION = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|signature|access_?key|api_?key|account_?key"
    r"|private_?key|odbc_connect|^(pass|key|sig|auth)$"
)
_PUNCTUATION = ")]}>'\"`,;.:!"
_SHORTEST = 4
"""Characters of a secret that is looked for outside its URI; a shorter one is in every word."""


def redacted(text: str, *uris: str) -> str:
    """A text with its secrets masked.

    Args:
        text: Any text; URIs in it end at white space.
        uris: URIs whose parts the text may quote, such as a host that was taken from a wrong place.
    """
    for uri in uris:
        shown = redacted_uri(uri)
        text = text.replace(uri, shown).replace(_server(uri), _server(shown))
        for secret in sorted(_secrets(uri), key=len, reverse=True):
            text = text.replace(secret, MASK)
    return _IN_TEXT.sub(lambda found: _without_tail(found[0]), text)


def redacted_uri(value: str) -> str:
    """A single value with its secrets masked: a whole URI, white space and all, or any text."""
    if _HEAD.match(value) is None:
        return redacted(value)
    shown, done = "", 0
    for start, end in sorted(_places(value)):
        if start >= done:  # else it begins within the one before
            shown += f"{value[done:start]}{MASK}"
        done = max(done, end)
    return shown + value[done:]


def holds_secret(value: str) -> bool:
    """Whether a value holds a secret, or the mask of one."""
    uris = [value] if _HEAD.match(value) else [found[0] for found in _IN_TEXT.finditer(value)]
    return redacted_uri(value) != value or any(MASK in uri for uri in uris)


def _without_tail(found: str) -> str:
    """A URI in a sentence, and the punctuation behind it."""
    uri = found.rstrip(_PUNCTUATION)
    return redacted_uri(uri) + found[len(uri) :] if _HEAD.match(uri) else found


def _secrets(uri: str) -> set[str]:
    """The secrets of a URI as they stand there, and as they are meant.

    A password may also end at an ``@`` before the last.
    """
    masked = [uri[start:end] for start, end in _places(uri)]
    found = {form for part in masked for form in (part, unquote(part))}
    found |= {login[2] for part in found if (login := _LOGIN.match(_server(part)))}
    found |= {part[: at.start()] for part in found for at in islice(re.finditer("@", part), 9)}
    return {part for part in found if len(part) >= _SHORTEST}


def _places(uri: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a URI, from an index to another; places may overlap."""
    head = _HEAD.match(uri)
    if head is None:
        return
    scheme = head[1].lower()
    login = _login(scheme, uri, head.end())
    if login is not None:
        if scheme == "s3" or _TOKEN.fullmatch(login[1]):  # a name that is a key
            yield login.span(1)
        if login.re is _LOGIN:
            yield login.span(2)
    for option in _OPTION.finditer(uri, head.end()):
        yield from _option_place(option)


def _login(scheme: str, uri: str, start: int) -> re.Match[str] | None:
    """User and password before the host."""
    if scheme in ("http", "https") and _PORT.match(uri, start):
        return None  # an @ further on is one of the path
    if found := _LOGIN.match(uri, start):
        return found
    return None if scheme.startswith("abfs") else _TOKEN_ALONE.match(uri, start)


def _option_place(option: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The value of an option if it is secret, or a server with a password.

    Where ``;`` or ``#`` stands in it, what follows may be an option too.
    """
    start, end = option.span(2)
    if _is_secret(option[1]) or _LOGIN.match(_server(unquote(option[2]))):
        yield start, end
        return
    options = _OPTION_WITHIN.finditer(option[2])
    if within := next((found for found in options if _is_secret(found[1])), None):
        yield start + within.end(), end


def _is_secret(name: str) -> bool:
    return _SECRET_OPTION.search(unquote(name).lower().replace("-", "_")) is not None


def _server(value: str) -> str:
    """A value without a scheme."""
    return value.partition("://")[2] or value
