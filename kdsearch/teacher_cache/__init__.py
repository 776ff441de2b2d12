"""Teacher signals on disk: computed once, read by every trial as memory maps."""
