"""``kdsearch ui``: MLflow's server as a quiet process, opened on a study."""
