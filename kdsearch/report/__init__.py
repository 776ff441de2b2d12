"""A study for a reader: one page for a browser, figures for a paper, several studies compared."""
