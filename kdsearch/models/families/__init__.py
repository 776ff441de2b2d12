"""Model families with knobs for width and depth."""
