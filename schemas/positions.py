"""Ids of jobs that another service put on the queue without one: made of where the message lies."""

from uuid import UUID, uuid5

IDS = UUID("8f0f6b6c-5a3c-5a0e-9d5f-1f6b0f0e2b11")
"""The namespace of these ids. Never changes: a repeated delivery is the same job."""


def id_of(origin: str) -> str:
    """`origin`: as `Submission.origin` has it."""
    return str(uuid5(IDS, origin))


def id_by_content(origin: str, digest: bytes) -> str:
    """The id of a job whose place had another's before: a topic made anew counts from 0 again."""
    return id_of(f"{origin}#{digest.hex()}")


def ids_of_gone(id: str, origin: str, digest: bytes) -> tuple[str, ...]:
    """What a purged job has to be known by: an id made of a place does not say which of the messages that lay there it was."""
    return (id, id_by_content(origin, digest)) if id == id_of(origin) else (id,)
