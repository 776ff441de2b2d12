"""A table that names images: its files, its rows, and what is wrong with them."""
