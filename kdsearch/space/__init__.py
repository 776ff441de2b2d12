"""What may be proposed, and everything that is checked or known before anything runs."""
