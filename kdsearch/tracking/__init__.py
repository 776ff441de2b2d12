"""Records of a study: MLflow runs, and figures."""
