"""What a test needs and the machine lacks: a person's machine skips with the reason, CI fails with it."""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require(reason: str) -> NoReturn:
    """Skip the test with this reason; in CI (`CI=true`) fail it, so that nothing is silently left out."""
    if in_ci():
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    pytest.skip(reason)
