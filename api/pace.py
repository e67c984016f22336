"""How slow a client of something large may be: whoever is slower keeps memory, files and turns from others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    rate: int = 64 << 10
    """Bytes a second, the least."""
    grace: float = 30.0
    """Seconds that it may be behind that."""

    def due(self, size: int) -> float:
        """Seconds from the beginning until `size` bytes must have gone."""
        return self.grace + size / self.rate


PACE = Pace()
