"""How long a connection to PostgreSQL whose other end fell silent is believed in."""

from typing import Any

KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
}
"""Seconds, but for the last one's milliseconds: given up after seconds, not after the kernel's quarter of an hour."""
