"""What a person sees of a running study: a live panel on a terminal, plain lines elsewhere."""

from kdsearch.display.display import Display

__all__ = ["Display"]
