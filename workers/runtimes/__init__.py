"""Runtimes: one file each. All take and give lists of items; stacking and padding are shared."""
