"""Where trainings leave files: Ray Tune's storage, weights, crash logs."""
