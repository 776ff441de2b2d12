"""Samples as a network sees them: normalised and augmented."""
