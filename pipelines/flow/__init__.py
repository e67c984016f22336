"""One worker's flow: intake → packing → start → predict (isolated on error) → judge → record → settle.

Every part acts in steps that do not wait, so that the same code runs under threads (workers/supervisor.py) and, step by
step under a virtual clock, in the seeded fault runs (tests/flow).
"""
