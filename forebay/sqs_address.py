"""Where a job queue on SQS is: `sqs://queue?region=…&endpoint=…`, or the queue's own URL."""

import re
from urllib.parse import parse_qsl

from msgspec import Struct

from forebay.pools import POOL
from pipelines.sqs.names import FIFO, Named
from schemas.jobs import DEFAULT_TENANT, check_tenant

_EXPECTED = "expected sqs://queue?region=…, or the queue's own URL"
_ADDRESS = re.compile(r"sqs://(?:(\d{12})/)?([^/?#]*)(?:\?([^#]*))?")
_OWN_URL = re.compile(r"https://sqs\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?)/(\d{12})/([^/?#]*)(?:\?([^#]*))?")
_OTHER_URL = re.compile(r"(https?://[^/?#@]+)/(?:[^/?#]+/)*([^/?#]+)/?")
"""Of a queue on a server that is not AWS, as that server tells it: it does not say its region."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}(?:\.fifo)?")
_REGION = re.compile(r"[a-z][a-z0-9-]{1,31}")
_ENDPOINT = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?/?")
_WHOLE = {"parallel": (1, 32), "wait": (0, 20)}
_OPTIONS = ("region", "endpoint", *_WHOLE, "tenant")


class SqsAddress(Struct, frozen=True):
    name: str
    """May hold `{pool}`."""
    account: str | None = None
    """The queue's; None: that of the credentials."""
    region: str | None = None
    """None: as boto3 finds it."""
    endpoint: str | None = None
    """None: AWS's own in the region."""
    parallel: int = 4
    """Calls of one kind in flight at once."""
    wait: int = 1
    """Seconds of long polling."""
    tenant: str = DEFAULT_TENANT
    """Of jobs that other services put there themselves."""

    @classmethod
    def parse(cls, url: str) -> "SqsAddress":
        """Raises ValueError, one line."""
        if "@" in url:
            raise ValueError("no credentials here; boto3 finds them: AWS_ACCESS_KEY_ID, AWS_PROFILE, a role")
        account, name, query, region = _parts(url)
        if not _NAME.fullmatch(name.replace(POOL, "p")):
            raise ValueError(f"queue {name!r}: expected letters, digits, '_' or '-', {POOL}, and .fifo at its end")
        given = _options(query)
        if region is not None and given.get("region", region) != region:
            raise ValueError(f"region {given['region']!r}: the queue's URL says {region!r}")
        whole = {option: int(given[option]) for option in _WHOLE if option in given}
        tenant = given.get("tenant", DEFAULT_TENANT)
        return cls(name, account, given.get("region", region), given.get("endpoint"), **whole, tenant=tenant)

    @property
    def fifo(self) -> bool:
        return self.name.endswith(FIFO)

    def queue_of(self, pool: str) -> Named:
        return Named(self.name.replace(POOL, pool), self.account)


def _parts(url: str) -> tuple[str | None, str, str, str | None]:
    """Account, name, query, region."""
    if (own := _OWN_URL.fullmatch(url)) is not None:
        return own[3], own[4], own[5] or "", own[1]
    if (found := _ADDRESS.fullmatch(url)) is not None:
        return found[1], found[2], found[3] or "", None
    if (other := _OTHER_URL.fullmatch(url)) is not None:
        raise ValueError(f"{_EXPECTED}; for this one say sqs://{other[2]}?endpoint={other[1]}&region=…")
    raise ValueError(_EXPECTED)


def _options(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(_OPTIONS)):
        raise ValueError(f"option {unknown[0]!r}: expected {', '.join(_OPTIONS)}")
    if not _REGION.fullmatch(given.get("region", "eu-central-1")):
        raise ValueError(f"region {given['region']!r}: expected one such as eu-central-1")
    if not _ENDPOINT.fullmatch(given.get("endpoint", "http://a")):
        raise ValueError(f"endpoint {given['endpoint']!r}: expected http://host:port or https://host")
    for option, (least, most) in _WHOLE.items():
        text = given.get(option, str(least))
        if not re.fullmatch(r"\d{1,3}", text) or not least <= int(text) <= most:
            raise ValueError(f"{option} {text!r}: expected a number from {least} to {most}")
    check_tenant(given.get("tenant", DEFAULT_TENANT))
    return given
