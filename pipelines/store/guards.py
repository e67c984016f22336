"""Conditions on a row that a statement names.

PostgreSQL knows nothing of a table that filled up a moment ago, and takes the rows in some state, or with some fence, for few:
it would look for those first and compare each of them with every row that is named, which takes it seconds where there are ten
thousands. It cannot look into a CASE, so it takes half the rows to fit, and goes by what is named.
"""


def guard(conditions: str) -> str:
    return f"CASE WHEN {conditions} THEN true ELSE false END"


OPEN = "jobs.state IN ('queued', 'running')"
RUNNING = "jobs.state = 'running'"
UNSTAMPED = -1.0
"""In `held_until`, which is 0 or a time: what was sent of this row so far is settled, and no stamp of it counts."""
