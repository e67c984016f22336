"""The store: the truth about every job. One row holds a job's whole state."""
