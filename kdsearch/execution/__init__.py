"""Where trainings run: the connection to Ray, trial actors, and what hands trainings to them."""
