"""Where the splits of a source come from, in words."""

from __future__ import annotations

from collections.abc import Mapping

from kdsearch.spec.sections import DataSection


def split_origins(section: DataSection, given: Mapping[str, str], whole: str) -> dict[str, str]:
    """What ``train``, ``validation`` and ``test`` are made of.

    Args:
        section: Says which shares are drawn where the source has no split of its own.
        given: The splits that the source has, each with what it is called.
        whole: What all of the source is called.
    """
    train = given.get("train", whole)
    left = train if "test" in given else f"what the test leaves of {train}"
    of = {"validation": left, "test": train}
    drawn = {
        split: f"{share:.0%} of {of[split]}, drawn class by class (data.{split})"
        for split, share in (("validation", section.validation), ("test", section.test))
    }
    return {"train": train} | drawn | dict(given)
