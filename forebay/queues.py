"""The job queue of these settings, by the kind of its address. A broker's client is imported only where it is used."""

from types import ModuleType

from forebay.brokers import Broker, BrokerOutlet, Tell, Wanted
from forebay.kafka_address import KafkaAddress
from forebay.queue_address import QueueAddress
from forebay.settings import Settings
from forebay.sqs_address import SqsAddress
from pipelines.catalog import Catalog
from pipelines.kafka.faults import KafkaRefused
from pipelines.sqs.faults import SqsRefused


def api_outlet(settings: Settings, catalog: Catalog, tell: Tell) -> BrokerOutlet | None:
    """None when the store is the queue. A broker that is away is told of: jobs are taken, and sweeping sends them later.
    Raises KafkaRefused, SqsRefused."""
    at = settings.queue_at
    outlet: BrokerOutlet | None = None if at is None else module_of(at).api_outlet(settings, at, catalog, tell)
    return outlet


def broker(settings: Settings, catalog: Catalog, wanted: Wanted, warn: Tell, tell: Tell) -> Broker | None:
    """None when the store is the queue. Raises KafkaAway, KafkaRefused, SqsAway, SqsRefused."""
    at = settings.queue_at
    made: Broker | None = None if at is None else module_of(at).broker(settings, at, catalog, wanted, warn, tell)
    return made


def module_of(at: QueueAddress) -> ModuleType:
    """What makes queues of this kind. Raises KafkaRefused, SqsRefused without their client."""
    match at:
        case KafkaAddress():
            try:
                from forebay import kafka_queues
            except ImportError as missing:
                raise KafkaRefused(
                    "FOREBAY_QUEUE: Kafka's client is not installed: pip install 'forebay[kafka]'"
                ) from missing
            return kafka_queues
        case SqsAddress():
            try:
                from forebay import sqs_queues
            except ImportError as missing:
                raise SqsRefused(
                    "FOREBAY_QUEUE: SQS's client is not installed: pip install 'forebay[sqs]'"
                ) from missing
            return sqs_queues
