"""Time and chance, handed in so that tests need not wait for either."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from forebay_client.retries import Uniform


@dataclass(frozen=True)
class Clocks:
    now: Callable[[], float] = time.monotonic
    """Seconds; only differences mean something."""
    wall: Callable[[], float] = time.time
    """Epoch seconds."""
    uniform: Uniform = random.uniform


REAL: Final = Clocks()
