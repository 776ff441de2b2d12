"""Samples that a training must not have, since what it makes is judged by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from torch import Tensor

from kdsearch.data.column import parts
from kdsearch.data.dataset import Split
from kdsearch.errors import DataError

_SHOWN = 5

_JUDGED = "validation or test samples"


def refuse_copies(
    train: Split, without: Tensor, judging: Iterable[Split], judged: str = _JUDGED, told: str = ""
) -> None:
    """Refuse samples without a target that are copies of validation or test samples.

    A pool of unlabelled samples is often collected from where the others came from. Two samples are
    copies where all their inputs are equal, bit for bit, as they were read and resized.

    Args:
        train: The training samples.
        without: [M] places of those that came without a target.
        judging: The validation and test splits, with the inputs in the order of ``train``.
        judged: What these are, in words.
        told: The section of the training samples, at the head of the sentence.

    Raises:
        DataError: There are such; the message gives the places of the first.
    """
    if not len(without):
        return
    known = {digest for split in judging for digest in _digests(split)}
    found = [place for place, digest in enumerate(_digests(train.take(without))) if digest in known]
    if found:
        shown = ", ".join(map(str, found[:_SHOWN])) + (", …" if len(found) > _SHOWN else "")
        raise DataError(
            f"{told}{len(found):,} of {len(without):,} samples without a target are copies of "
            f"{judged} (counted from 0: {shown}), and a student must not learn from what it is "
            "judged by; remove these from the unlabelled ones"
        )


def _digests(split: Split) -> Iterator[bytes]:
    """A digest of each sample's inputs, in order."""
    columns = [_rows(parts(column)) for column in split.inputs.values()]
    for row in zip(*columns, strict=True):
        yield blake2b(b"".join(each.numpy().tobytes() for each in row), digest_size=16).digest()


def _rows(chunks: Iterator[Tensor]) -> Iterator[Tensor]:
    for chunk in chunks:
        yield from chunk.contiguous()
