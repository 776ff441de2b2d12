"""What a reviewer opens in MLflow: the study's page, its views, data set, models, versions."""
