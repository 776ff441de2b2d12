"""Batches on their way to a device, and data sets on their way to a process."""
