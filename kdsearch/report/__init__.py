"""A study for a reader: one page for a browser, figures for a paper, several studies compared."""

import logging

# where it cannot write to the home folder, it keeps its caches in a temporary one and says so
logging.getLogger("matplotlib").setLevel(logging.ERROR)
