"""Images: sources, splits, augmentation that is a pure function of the sample, and batches.

::

    dataset = load_dataset(spec.data)                # a source, split class by class
    order = epoch_order(seed, epoch, len(dataset.train))
    views = Views(dataset.train, dataset.mean, dataset.std, spec.data.augment, seed)
    images, targets = views.batch(order[:64], epoch)  # normalised float32 [64, C, H, W]

    feed = make_feed(dataset.train, dataset.mean, dataset.std, spec.data.augment, seed, device, 4)
    for images, targets in feed.batches(order.split(64), epoch):  # the same batches, on the device
        ...
    feed.close()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsearch.data.dataset import Dataset, Split
    from kdsearch.data.feed import Feed, ResidentFeed, make_feed, on_device
    from kdsearch.data.mapped import MappedImages
    from kdsearch.data.random_streams import derive, epoch_order
    from kdsearch.data.raw import RawData
    from kdsearch.data.sources import SOURCES, load_dataset
    from kdsearch.data.transport import pack, unpack
    from kdsearch.data.views import Views
    from kdsearch.data.worker_feed import WorkerFeed

_HOMES = {
    "SOURCES": "sources",
    "Dataset": "dataset",
    "Feed": "feed",
    "MappedImages": "mapped",
    "RawData": "raw",
    "ResidentFeed": "feed",
    "Split": "dataset",
    "Views": "views",
    "WorkerFeed": "worker_feed",
    "derive": "random_streams",
    "epoch_order": "random_streams",
    "load_dataset": "sources",
    "make_feed": "feed",
    "on_device": "feed",
    "pack": "transport",
    "unpack": "transport",
}

__all__ = [
    "SOURCES",
    "Dataset",
    "Feed",
    "MappedImages",
    "RawData",
    "ResidentFeed",
    "Split",
    "Views",
    "WorkerFeed",
    "derive",
    "epoch_order",
    "load_dataset",
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
