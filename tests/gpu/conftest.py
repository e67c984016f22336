"""Tests that need a CUDA device: skipped, with the reason, wherever there is none. CI has none either."""

import pytest


def _missing() -> str | None:
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed: pip install 'forebay[torch]'"
    return None if torch.cuda.is_available() else "PyTorch sees no CUDA device here"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    for item in items:
        if "tests/gpu/" in item.nodeid:
            item.add_marker(pytest.mark.gpu)
            if missing is not None:
                item.add_marker(pytest.mark.skip(reason=missing))
