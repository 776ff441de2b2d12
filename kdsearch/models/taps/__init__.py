"""Where the signals of a network that is not ours are read."""
