"""The store on a database."""

from pipelines.store.claiming import Claiming
from pipelines.store.database import Database
from pipelines.store.dead_lettering import DeadLettering
from pipelines.store.reading import Reading
from pipelines.store.recording import Recording
from pipelines.store.referring import Referring
from pipelines.store.sending import Sending
from pipelines.store.straying import Straying
from pipelines.store.submitting import Submitting
from pipelines.store.sweeping import Sweeping, new_holder


class SqlStore(Submitting, Claiming, Recording, Reading, Sweeping, Sending, DeadLettering, Straying, Referring):
    """All of `pipelines.store.port.Store`, on SQLite or PostgreSQL. One instance serves all threads of a process."""

    def __init__(self, db: Database, broker: bool = False, hold: float = 0.0) -> None:
        self.db = db
        self.broker = broker
        self.hold = hold
        self.holder = new_holder()

    def close(self) -> None:
        self.db.close()
