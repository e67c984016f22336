"""What the API is given: nothing in it reaches for anything else."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from api.pace import PACE, Pace
from pipelines.catalog import Catalog
from pipelines.payloads.deposits import Deposits
from pipelines.payloads.port import Receiving, Uploads
from pipelines.ports import Outlet
from pipelines.rate import Rate
from pipelines.scoring.locations import Locations
from pipelines.store.notices import Notices
from pipelines.store.port import Store
from pipelines.store.scoring_port import RunStore

if TYPE_CHECKING:
    from api.rates import Shared
    from api.reader import Kept


@dataclass(frozen=True)
class Limits:
    body: int = 8 << 20
    """Bytes of a request's body (413)."""
    jobs: int = 1000
    """Jobs in one batch (422)."""
    wait: float = 60.0
    """Seconds; longer waits are cut to this (RFC 7240, 4.3)."""
    waiting: int = 10_000
    """Submissions waiting for their commit in this process (429)."""
    waiting_bytes: int = 256 << 20
    polls: int = 10_000
    """Long polls held by this process; those beyond are answered at once."""
    queued: int | None = None
    """Rows queued or running in the store (429); None: no limit."""
    rate: Rate | None = None
    """Jobs that each tenant may submit in a time (429); None: no limit."""
    answer_within: float = 1.6
    """Seconds until a request that waits for the store is answered 503."""
    pace: Pace = PACE
    """At the least, of clients that take large results or send uploads: slower ones are cut off."""
    turn_within: float = 10.0
    """Seconds that the client of a large result waits for its turn (429)."""
    inline_bytes: int = 64 << 10
    """Bodies up to this are decoded on the event loop, larger ones in a thread."""


@dataclass(frozen=True)
class Large:
    """The claim check: where inputs and results are that rows do not hold."""

    deposits: Deposits
    uploads: Uploads
    receiving: Receiving | None = None
    """Where the API itself takes uploads; None: clients put them where `uploads` says."""
    max_upload: int = 256 << 20
    """Bytes (413)."""
    away: Callable[[], str | None] = lambda: None
    """One line while they cannot be reached."""
    within: float = 10.0
    """Seconds until a request that waits for them is answered 503."""
    upload_within: float = 3600.0
    """Seconds that an address for an upload is good for."""
    submit_within: float = 12 * 3600.0
    """Seconds from an upload until a job may take it no more: long before it is removed as an orphan."""


@dataclass(frozen=True)
class Scoring:
    """Scoring as a service."""

    runs: RunStore
    locations: Locations
    most_open: int = 1000
    """Runs of a tenant that may be queued or running (429)."""


@dataclass(frozen=True)
class Deps:
    store: Store
    catalog: Catalog
    notices: Notices
    outlet: Outlet | None = None
    """The sending side of the broker; None with the store as the queue."""
    broker_fault: Callable[[], str | None] = lambda: None
    """One line of what the broker answered last, where it did not confirm."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Hex sha256 of an API key → its tenant. Empty: every request is of the tenant `default`."""
    limits: Limits = Limits()
    large: Large | None = None
    """None: rows hold everything."""
    scoring: Scoring | None = None
    """None: its routes are not there."""
    release: str = "0"
    """Forebay's version, for the OpenAPI document."""
    clock: Callable[[], float] = time.time
    random_bits: Callable[[int], int] = secrets.randbits
    kept: "Kept | None" = None
    """Results kept in Redis."""
    shared_rates: "Shared | None" = None
    """Buckets of the rate limit that all replicas share."""
    degrading: Sequence[Callable[[], str | None]] = ()
    """One line each while something is wrong that stops nothing."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """A registry of the API's own."""
