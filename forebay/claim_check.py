"""The claim check of a process that serves: where payloads are, watched, and tidied up."""

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct

from forebay.payloads import payloads_of
from forebay.settings import Settings
from pipelines.clock import SystemClock
from pipelines.payloads.deposits import Deposits
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.janitor import Janitor
from pipelines.payloads.lookout import Lookout
from pipelines.payloads.presence import Presence
from pipelines.payloads.watched import WatchedPayloads, WatchedReceiving, WatchedUploads
from pipelines.store.sql import SqlStore

if TYPE_CHECKING:
    from api.deps import Large
    from pipelines.payloads.s3 import S3Payloads

log = logging.getLogger("forebay")


class Kept(Struct, frozen=True):
    place: "FolderPayloads | S3Payloads"
    presence: Presence
    payloads: WatchedPayloads
    janitor: Janitor

    def away(self) -> str | None:
        """One line while they cannot be reached."""
        return self.presence.away


def kept_of(settings: Settings, store: SqlStore, stack: ExitStack) -> Kept | None:
    """None when rows hold everything. The place was looked at; one that is away is told of, for it may come back.
    Raises PayloadsAway, BadSettings, StoreAway."""
    place = payloads_of(settings, store)
    if place is None:
        return None
    presence = Presence(lambda line: log.warning("%s", line), time.monotonic)
    payloads = WatchedPayloads(place, presence)
    lookout = Lookout(place, presence)
    stack.callback(lookout.close)
    lookout.start()
    return Kept(place, presence, payloads, Janitor(payloads, place, store, SystemClock(), log.info))


def large_of(settings: Settings, kept: Kept | None) -> "Large | None":
    from api.deps import Large

    if kept is None:
        return None
    receiving = WatchedReceiving(kept.place, kept.presence) if isinstance(kept.place, FolderPayloads) else None
    uploads = WatchedUploads(kept.place, kept.presence)
    return Large(Deposits(kept.payloads, settings.inline_bytes), uploads, receiving, settings.max_upload, kept.away)
