"""Image files decoded, and kept in memory or in a file."""
