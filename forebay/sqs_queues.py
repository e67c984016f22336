"""The job queue on SQS."""

import random
import time
import uuid
from collections.abc import Iterable

from botocore.session import get_session

from forebay.brokers import Broker, Tell, Wanted
from forebay.pools import DEFAULT_POOL
from forebay.settings import Settings
from forebay.sqs_address import SqsAddress
from pipelines.catalog import Catalog
from pipelines.queues.sqs_calls import Calls
from pipelines.queues.sqs_dead import DeadQueue
from pipelines.queues.sqs_inbox import Inbox, Limit
from pipelines.queues.sqs_outlet import SEND, SqsOutlet
from pipelines.queues.sqs_queue import SqsQueue
from pipelines.queues.sqs_receiving import Plan, Receiving
from pipelines.queues.sqs_settling import Settling
from pipelines.queues.sqs_tending import Tending
from pipelines.sqs.client import Endpoint, Sqs, connect_lean
from pipelines.sqs.daemons import Daemons
from pipelines.sqs.faults import SqsAway, SqsFault
from pipelines.sqs.losses import Losses
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from pipelines.sqs.queues import Redrive, attributes_of, redrive_of, url_of
from pipelines.sqs.redrive import advice
from workers.queue_depth import QueueDepth

ANSWERS_WITHIN_S = 5.0
"""A receive may take so much longer than its long poll, any other call so long."""
SENDS_WITHIN_S = 2.0
LEAST_WAITING, WAITING_BYTES = 128, 16 << 20
"""Messages received and not handed out: as many as a few rounds of receives bring."""


def api_outlet(settings: Settings, at: SqsAddress, catalog: Catalog, tell: Tell) -> SqsOutlet:
    """Raises SqsRefused."""
    client = connect_lean(endpoint_of(at), at.parallel, SENDS_WITHIN_S)
    presence = Presence(tell)
    try:
        check_queues(client, at, sorted({model.spec.pool for model in catalog.models.values()}))
    except SqsAway as away:
        presence.complained(SEND, f"{away}: jobs are taken and sent later")
    return outlet_of(client, at, catalog, presence, losses_of(at, catalog))


def broker(settings: Settings, at: SqsAddress, catalog: Catalog, wanted: Wanted, warn: Tell, tell: Tell) -> Broker:
    """Raises SqsAway, SqsRefused."""
    session = get_session()
    client = connect_lean(endpoint_of(at), 3 * at.parallel + 2, at.wait + ANSWERS_WITHIN_S, session)
    named = at.queue_of(settings.pool)
    url = url_of(client, named)
    attributes = attributes_of(client, url, ("RedrivePolicy", "QueueArn"))
    redrive = redrive_of(attributes)
    if (line := advice(named, redrive, wanted.deliveries)) is not None:
        warn(line)
    plan = Plan(url, visibility_of(settings.lease), at.wait, at.parallel)
    losses = losses_of(at, catalog)
    dead = _dead(client, redrive, attributes.get("QueueArn", ""), warn)
    queue = queue_of(client, plan, dead, wanted, warn, losses)
    sending = connect_lean(endpoint_of(at), at.parallel, SENDS_WITHIN_S, session)
    outlet = outlet_of(sending, at, catalog, Presence(warn), losses)
    return Broker(queue, outlet, QueueDepth(lambda: queue.depth))


def outlet_of(client: Sqs, at: SqsAddress, catalog: Catalog, presence: Presence, losses: Losses) -> SqsOutlet:
    """Sends each model's jobs to its pool's queue."""
    pools = {name: model.spec.pool for name, model in catalog.models.items()}

    def queue_of(model: str) -> Named:
        return at.queue_of(pools.get(model, DEFAULT_POOL))

    return SqsOutlet(client, queue_of, lambda: uuid.uuid4().hex, presence, losses, at.parallel)


def losses_of(at: SqsAddress, catalog: Catalog) -> Losses:
    queues = {name: at.queue_of(model.spec.pool).name for name, model in catalog.models.items()}
    return Losses(lambda queue: [name for name, its in queues.items() if its == queue], time.monotonic)


def queue_of(client: Sqs, plan: Plan, dead: DeadQueue | None, wanted: Wanted, warn: Tell, losses: Losses) -> SqsQueue:
    calls = Calls(client, Presence(warn), time.monotonic, Daemons(plan.receivers, "forebay-sqs"))
    limit = Limit(min(wanted.credits, max(LEAST_WAITING, 20 * plan.receivers)), WAITING_BYTES)
    inbox = Inbox(limit, plan.receivers, time.monotonic)
    receiving = Receiving(calls, plan, inbox, random.Random(), losses)
    settling, tending = Settling(calls, plan.receivers, warn), Tending(calls, plan, inbox, dead)
    return SqsQueue(calls, plan, inbox, receiving, settling, tending, wanted.strangers)


def check_queues(client: Sqs, at: SqsAddress, pools: Iterable[str]) -> None:
    """Raises SqsAway, SqsRefused; one line."""
    for pool in pools:
        url_of(client, at.queue_of(pool))


def visibility_of(lease: float) -> int:
    """Whole seconds, for SQS knows no others."""
    return max(1, -int(-lease // 1))


def endpoint_of(at: SqsAddress) -> Endpoint:
    return Endpoint(at.region, at.endpoint)


def _dead(client: Sqs, redrive: Redrive | None, arn: str, warn: Tell) -> DeadQueue | None:
    """None: there is none, or none that may be read."""
    if redrive is None:
        return None
    try:
        return DeadQueue(url_of(client, redrive.target), redrive.receives, arn)
    except SqsFault as fault:
        warn(f"{fault}: what SQS gives up stays there")
        return None
