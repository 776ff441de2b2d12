"""Studies as jobs on a Ray cluster."""
