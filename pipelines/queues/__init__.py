"""Queues: what wakes workers. One adapter a file."""
