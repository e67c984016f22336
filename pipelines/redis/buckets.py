"""The buckets of `pipelines.rate`, shared by every process that takes submissions: kept in Redis, by its clock."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from redis.exceptions import NoScriptError

from pipelines.rate import Rate
from pipelines.redis.address import RedisPlace
from pipelines.redis.connecting import FAULTS, connect
from pipelines.redis.health import Health

TIMEOUT_S = 0.05
MOST_JOBS = 10_000
"""More than any batch holds. A bucket that owes more is not one of ours: it counts as full."""

# Times in microseconds. What stands in the key is the time at which the bucket is full again.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1])) or now
if full_at < now or full_at > now + (burst + most) * interval then full_at = now end
local waits, before = {}, full_at
for i = 4, #ARGV do
  local jobs = tonumber(ARGV[i])
  local wait = full_at - now + (math.min(jobs, burst) - burst) * interval
  if wait <= 0 then
    full_at = full_at + jobs * interval
    wait = 0
  end
  waits[i - 3] = math.ceil(wait)
end
if full_at > before then
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
end
return waits
"""


class RedisBuckets:
    """One thread at a time."""

    def __init__(self, at: RedisPlace, health: Health, rate: Rate) -> None:
        self._at = at
        self._health = health
        self._client = connect(at, TIMEOUT_S)
        self._script: str | None = None
        """Its digest, once Redis has it."""
        self._fixed = (f"{rate.interval * 1e6:.3f}", rate.burst, MOST_JOBS)

    def take(self, wanted: Sequence[tuple[str, int]]) -> list[float | None]:
        """Of each (tenant, jobs), in order: 0 when they were taken, else the seconds until they could be; None when Redis
        cannot say. One round trip for all."""
        if not self._health.usable:
            return [None] * len(wanted)
        by_tenant: dict[str, list[int]] = {}
        for place, (tenant, _) in enumerate(wanted):
            by_tenant.setdefault(tenant, []).append(place)
        asked = {tenant: [wanted[place][1] for place in places] for tenant, places in by_tenant.items()}
        try:
            said = self._ask(asked)
        except FAULTS as fault:
            self._health.failed(fault)
            return [None] * len(wanted)
        waits = zip(chain.from_iterable(by_tenant.values()), chain.from_iterable(said), strict=True)
        found: list[float | None] = [None] * len(wanted)
        for place, wait in waits:
            found[place] = wait / 1e6
        return found

    def close(self) -> None:
        self._client.close()

    def _ask(self, asked: dict[str, list[int]]) -> list[list[int]]:
        """Microseconds, tenant by tenant. Raises one of FAULTS."""
        answers = self._run(asked)
        if any(isinstance(answer, NoScriptError) for answer in answers):  # Redis is new, or was emptied of scripts
            self._script = None
            missing = [t for t, answer in zip(asked, answers, strict=True) if isinstance(answer, NoScriptError)]
            again = iter(self._run({tenant: asked[tenant] for tenant in missing}))
            answers = [next(again) if isinstance(answer, NoScriptError) else answer for answer in answers]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _run(self, asked: dict[str, list[int]]) -> list[Any]:
        if self._script is None:
            self._script = str(self._client.script_load(_TAKE))
        with self._client.pipeline(transaction=False) as calls:
            for tenant, jobs in asked.items():
                calls.evalsha(self._script, 1, self._at.key("rate", tenant), *self._fixed, *jobs)
            return list(calls.execute(raise_on_error=False))
