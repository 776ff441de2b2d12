"""What a reviewer opens: the study's page in MLflow, its views, its data set and its models."""
