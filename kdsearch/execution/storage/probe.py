"""Writes a file into a storage and removes it, as a program of its own.

The libraries of object stores try again for minutes where nothing answers, and hold up the end of
their process; this one can be ended. The URI comes by standard input, since others can read the
arguments of a process.
"""

from __future__ import annotations

import sys
from uuid import uuid4

from pyarrow import fs


def probe(uri: str) -> None:
    """Write and remove a file.

    Raises:
        OSError: There is no answer, no bucket, or no permission.
        ValueError: The URI is none of a storage.
    """
    files, root = fs.FileSystem.from_uri(uri)
    files.create_dir(root)
    file = f"{root}/.kdsearch-{uuid4().hex}"
    with files.open_output_stream(file) as stream:
        stream.write(b"kdsearch can write here\n")
    files.delete_file(file)


if __name__ == "__main__":
    try:
        probe(sys.stdin.read())
    except Exception as fault:
        print(str(fault) or type(fault).__name__)
        sys.exit(1)
