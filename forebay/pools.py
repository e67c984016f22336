"""Pools, in the names of queues and topics."""

POOL = "{pool}"
"""Stands for the pool of a job's model."""
DEFAULT_POOL = "default"
