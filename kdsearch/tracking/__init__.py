"""Records of a study: MLflow runs, their page, and its UI."""
