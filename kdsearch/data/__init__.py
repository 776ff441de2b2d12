"""Samples: sources, splits, augmentation that is a pure function of the sample, and batches.

::

    dataset = load_dataset(spec.data)                # a source, split class by class
    dataset = load_study_data(spec)                  # the same, with the target domain if any
    order = epoch_order(seed, epoch, len(dataset.train))
    views = Views(dataset.train, dataset.scales, spec.data.augment, seed)
    batch = views.batch(order[:64], epoch)  # batch.inputs["image"]: normalised [64, C, H, W]

    feed = make_feed(dataset.train, dataset.scales, spec.data.augment, seed, device, 4)
    for batch in feed.batches(order.split(64), epoch):  # the same batches, on the device
        ...
    feed.close()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsearch.data.batch import Batch
    from kdsearch.data.dataset import Dataset, Split
    from kdsearch.data.domains import load_study_data
    from kdsearch.data.feeds.feed import Feed, ResidentFeed, make_feed, on_device
    from kdsearch.data.feeds.transport import pack, unpack
    from kdsearch.data.feeds.worker_feed import WorkerFeed
    from kdsearch.data.images.mapped import MappedImages
    from kdsearch.data.load import load_dataset
    from kdsearch.data.modalities.modality import Scale
    from kdsearch.data.sources.catalogue import SOURCES
    from kdsearch.data.sources.raw import RawData
    from kdsearch.data.views.random_streams import balanced_order, derive, epoch_order
    from kdsearch.data.views.views import Views

_HOMES = {
    "SOURCES": "sources.catalogue",
    "Batch": "batch",
    "Dataset": "dataset",
    "Feed": "feeds.feed",
    "MappedImages": "images.mapped",
    "RawData": "sources.raw",
    "ResidentFeed": "feeds.feed",
    "Scale": "modalities.modality",
    "Split": "dataset",
    "Views": "views.views",
    "WorkerFeed": "feeds.worker_feed",
    "balanced_order": "views.random_streams",
    "derive": "views.random_streams",
    "epoch_order": "views.random_streams",
    "load_dataset": "load",
    "load_study_data": "domains",
    "make_feed": "feeds.feed",
    "on_device": "feeds.feed",
    "pack": "feeds.transport",
    "unpack": "feeds.transport",
}

__all__ = [
    "SOURCES",
    "Batch",
    "Dataset",
    "Feed",
    "MappedImages",
    "RawData",
    "ResidentFeed",
    "Scale",
    "Split",
    "Views",
    "WorkerFeed",
    "balanced_order",
    "derive",
    "epoch_order",
    "load_dataset",
    "load_study_data",
    "make_feed",
    "on_device",
    "pack",
    "unpack",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: processes that only read images need few."""
    if name in _HOMES:
        return getattr(import_module(f"kdsearch.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kdsearch.data' has no attribute '{name}'")
