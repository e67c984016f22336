"""The lookout: looks at where payloads are, once at the start, and while it is away now and then, so that what is wrong is
told before the first large input comes, and that it is right again without one."""

import threading

from pipelines.payloads.port import PayloadsAway, Place
from pipelines.payloads.presence import Presence

EVERY_S = 5.0
FIRST_S = 2.5
"""How long a start waits for the first look."""


class Lookout:
    """A thread of its own: a place that hangs holds up nobody."""

    def __init__(self, place: Place, presence: Presence, every: float = EVERY_S, first: float = FIRST_S) -> None:
        """`every`, `first`: seconds."""
        self._place = place
        self._presence = presence
        self._every = every
        self._first = first
        self._looked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="forebay-lookout", daemon=True)

    def start(self) -> None:
        """Returns once the place was looked at, or did not answer in time."""
        self._thread.start()
        if not self._looked.wait(self._first):
            self._presence.looked(f"payloads: {self._place.place}: no answer within {self._first:g} s")

    def close(self) -> None:
        self._closing.set()

    def step(self) -> None:
        try:
            self._place.look()
        except PayloadsAway as away:
            self._presence.looked(str(away))
        else:
            self._presence.looked(None)

    def _serve(self) -> None:
        self.step()
        self._looked.set()
        while not self._closing.wait(self._every):
            if self._presence.away is not None:
                self.step()
