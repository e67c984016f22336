"""Client of Forebay: submit inputs to a model's queue and get each result, once.

with Client("http://localhost:8000") as forebay:
    job = forebay.submit("digits", {"pixels": pixels})
    print(forebay.wait(job).value)
"""

from forebay_client.aio import AsyncClient
from forebay_client.client import Client
from forebay_client.errors import (
    Forbidden,
    ForebayError,
    Gone,
    IdempotencyConflict,
    InvalidRequest,
    JobCanceled,
    JobError,
    JobExpired,
    JobFailed,
    JobPending,
    JobTimeout,
    NotFound,
    NotPublished,
    Overloaded,
    Passing,
    ScoringRunCanceled,
    ScoringRunError,
    ScoringRunFailed,
    ScoringRunPending,
    ScoringRunTimeout,
    ServerError,
    Unauthorized,
    Unavailable,
)
from forebay_client.problems import FieldFault, Problem
from forebay_client.published import dataset
from forebay_client.results import Failure, Job, Result, Timings
from forebay_client.retries import Retries
from forebay_client.scoring import ScoringProgress, ScoringRun, ScoringSummary

__all__ = [
    "AsyncClient",
    "Client",
    "Failure",
    "FieldFault",
    "Forbidden",
    "ForebayError",
    "Gone",
    "IdempotencyConflict",
    "InvalidRequest",
    "Job",
    "JobCanceled",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobPending",
    "JobTimeout",
    "NotFound",
    "NotPublished",
    "Overloaded",
    "Passing",
    "Problem",
    "Result",
    "Retries",
    "ScoringProgress",
    "ScoringRun",
    "ScoringRunCanceled",
    "ScoringRunError",
    "ScoringRunFailed",
    "ScoringRunPending",
    "ScoringRunTimeout",
    "ScoringSummary",
    "ServerError",
    "Timings",
    "Unauthorized",
    "Unavailable",
    "dataset",
]
