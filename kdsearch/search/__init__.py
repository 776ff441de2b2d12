"""The search: space, proposals, trials, Pareto front, finalists, and the study that joins them."""
