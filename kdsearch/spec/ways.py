"""The word for students that are made small by width and depth alone."""

NO_WAY = "none"
"""No way beside width and depth."""
