"""What may be wrong with a cluster, or with how it is used. Each is one line; nothing here needs Kafka's client."""


class KafkaFault(Exception):
    """One line: what is wrong, where, what to do."""


class KafkaAway(KafkaFault):
    """No broker answers, or too slowly; it may pass."""


class KafkaRefused(KafkaFault):
    """What was asked for is refused and stays so: an option, a topic that is missing, no permission."""


class Fenced(KafkaFault):
    """Another process goes by our name: this one must end, and has changed nothing since."""


class InstanceTaken(KafkaFault):
    """Another process of this machine holds the slot."""
