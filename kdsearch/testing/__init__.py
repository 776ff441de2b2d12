"""A conformance suite that every distillation method inherits, kdsearch's own and a user's alike.

::

    # test_mine.py; run it with pytest
    from kdsearch.testing import MethodConformance
    from my_methods import Mine

    class TestMine(MethodConformance):
        method = Mine                       # or "my_methods:Mine", or a name

        def align(self, method):            # only where the method has learnable helpers
            identity_projectors(method)

        pairs = (*PAIRS, *SEQUENCES)        # only where it takes sequences

The suite holds a method to what the training loop and the search count on: it reads what it
declares, trains the student and its helpers but never the teacher, stays finite, keeps all that it
has learned in the checkpoint and nothing of it in the exported student. Its tests need no data and
take a second or two. A test that says nothing of a method is skipped with the reason.

:class:`WayConformance` does the same for a way to a small model.
"""

from kdsearch.testing.conformance import MethodConformance
from kdsearch.testing.material import PAIRS, SEQUENCES, Pair
from kdsearch.testing.projectors import identity_projectors
from kdsearch.testing.ways import WayConformance

__all__ = [
    "PAIRS",
    "SEQUENCES",
    "MethodConformance",
    "Pair",
    "WayConformance",
    "identity_projectors",
]
