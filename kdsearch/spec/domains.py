"""What a study with a target domain calls its scores."""

from __future__ import annotations

SOURCE = "source_"
"""Stands before the names of scores on the test of the source domain."""
