"""What may be wrong with SQS, or with how it is used. Each is one line; nothing here needs SQS's client."""


class SqsFault(Exception):
    """One line: what is wrong, where, what to do."""


class SqsAway(SqsFault):
    """Nothing answers, or too slowly; it may pass."""


class SqsRefused(SqsFault):
    """What was asked for is refused and stays so: a queue that is missing, credentials, no permission."""


class NoQueue(SqsRefused):
    """There is no queue of this name."""
