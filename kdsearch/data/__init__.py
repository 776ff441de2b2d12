"""Pictures: sources, splits, augmentation that is a pure function of the sample, and batches.

::

    dataset = load_dataset(spec.data)                # a source, split class by class, in memory
    order = epoch_order(seed, epoch, len(dataset.train))
    views = Views(dataset.train, dataset.mean, dataset.std, spec.data.augment, seed)
    images, targets = views.batch(order[:64], epoch)  # normalised float32 [64, C, H, W]
"""

from kdsearch.data.dataset import Dataset, Split
from kdsearch.data.random import derive, epoch_order
from kdsearch.data.raw import RawData
from kdsearch.data.sources import SOURCES, load_dataset
from kdsearch.data.transport import pack, unpack
from kdsearch.data.views import Views

__all__ = [
    "SOURCES",
    "Dataset",
    "RawData",
    "Split",
    "Views",
    "derive",
    "epoch_order",
    "load_dataset",
    "pack",
    "unpack",
]
