"""The one training loop, the teacher, checkpoints, and Ray Train workers."""
