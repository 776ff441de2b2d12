"""Scikit-learn's digits as two domains: most of the scans, and others that are worn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from kdsearch.data import RawData

SOURCE = "tests.two_domains:scans"


def scans(worn: bool = False) -> RawData:
    """1,197 scans, or the 600 others in half the contrast on a grey ground."""
    found = load_digits()
    part = np.arange(len(found.target)) % 3 == 0 if worn else np.arange(len(found.target)) % 3 > 0
    images = np.rint(found.images[part] * (255 / 16))
    if worn:
        images = 90 + images / 2
    return RawData(images.astype(np.uint8), found.target[part], classes=list(map(str, range(10))))


def sections(**more: Any) -> dict[str, Any]:
    """A study of both, with one epoch a training."""
    return {
        "study": {"name": "worn"},
        "data": {"source": SOURCE},
        "target": {"source": SOURCE, "options": {"worn": True}},
        "teacher": {"model": {"family": "mlp", "width": 1, "depth": 1}, "training": {"epochs": 1}},
        "students": [{"family": "mlp", "width": 0.3, "depth": 1}],
        "methods": ["none", "kd"],
        "training": {"epochs": 1},
        "search": {"trials": 2},
    } | more
