"""``python -m kdsearch.cli``."""

from kdsearch.cli import main

main()
