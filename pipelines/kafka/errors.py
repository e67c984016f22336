"""Kafka's errors: which end a process, which pass, and how each is told in one line."""

from confluent_kafka import KafkaError, KafkaException

_FENCED = (
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
)
_REFUSED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
)


def error_of(fault: KafkaException) -> KafkaError:
    error: KafkaError = fault.args[0]
    return error


def is_fenced(error: KafkaError) -> bool:
    """Once a client is broken for good, librdkafka tells the cause only in its text."""
    return error.code() in _FENCED or (error.code() == KafkaError._FATAL and "fenced" in error.str().lower())


def is_fatal(error: KafkaError) -> bool:
    return error.fatal() or error.code() == KafkaError._FATAL


def is_refused(error: KafkaError) -> bool:
    """Nothing that a retry would mend."""
    return error.code() in _REFUSED


def one_line(fault: BaseException | KafkaError) -> str:
    error = fault.args[0] if isinstance(fault, KafkaException) and fault.args else fault
    text = error.str() if isinstance(error, KafkaError) else str(error)
    return " ".join(text.split())[:300]
