"""Settings: `forebay.toml`, then `FOREBAY_*`. Unknown keys are refused; nothing else reads the environment."""

import hashlib
import os
import re
import reprlib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from forebay import payloads_address, queue_address
from forebay.queue_address import QueueAddress
from forebay.setting_values import Whole, between, listed, size_between
from pipelines.rate import Rate
from pipelines.redis.address import RedisAddress
from pipelines.scoring.locations import Locations
from schemas.envelope import INLINE_BYTES, MOST_INLINE_BYTES
from schemas.jobs import DEFAULT_TENANT, check_tenant

FILE = Path("forebay.toml")
PREFIX = "FOREBAY_"
KAFKA_PREFIX = "FOREBAY_KAFKA_"
_UNDERSCORED = {"log.level": "log_level"}
"""The one option that has no dot."""
_SECRET = re.compile(r"password|secret|token|credential|key\.pem|jaas")
DURATIONS = frozenset({"retention", "lease", "grace"})
"""Settings in seconds, for whoever shows them to people."""
SIZES = frozenset({"credit_bytes", "max_body", "inline_bytes", "max_upload"})
"""Settings in bytes, likewise."""
_UNTOLD = frozenset({"store", "queue", "redis", "keys", "kafka", "payloads", "scoring_roots"})
"""Settings whose values may hold a secret, and so stand in no message."""
_NESTED = PREFIX + "KEYS__"
"""Before a tenant: the only table whose rows are variables so; those of [kafka] have a prefix of their own."""
_OURS_ELSEWHERE = ("FOREBAY_TEST_",)
"""Variables of the test suite."""

_KEY = re.compile(r"[0-9a-f]{64}")
_NO_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python makes of other bytes in the environment."""
_repr = reprlib.Repr()


class BadSettings(Exception):
    """One line per mistake: which setting, what is wrong, what was expected."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file=FILE, extra="forbid", frozen=True, env_nested_delimiter="__"
    )

    home: Path = Field(Path(".forebay"), description="folder for the embedded default's files")
    store: SecretStr | None = Field(
        None, description="sqlite:///path.db (default, under home) or postgresql://user:password@host/database"
    )
    queue: str = Field(
        "store",
        description="what wakes workers; `store`: the job table itself, sqs://queue?region=… or kafka://host:port,…/topic",
    )
    redis: SecretStr | None = Field(
        None,
        description="redis://host:port/db or rediss://…: notices, results read again, shared rate limits; empty: none",
    )
    rate_limit: str | None = Field(
        None, description="jobs that each tenant may submit, such as 100/s, 6000/m or 100/s:300 with a burst; then 429"
    )
    models: Path = Field(Path("models"), description="model repository, a folder")
    pool: str = Field("default", description="the pool whose models `forebay worker` serves")
    host: str = Field("127.0.0.1", description="address of the API")
    port: Whole = Field(8000, ge=0, le=65535, description="port of the API; 0: any free one")
    keys: dict[str, SecretStr] = Field(
        {}, description="tenants by API key: name = key, or the key's sha256 as 64 hex digits"
    )
    retention: Annotated[float, between("1s", "36500d")] = Field(
        7 * 86_400.0, description="how long finished jobs stay, at most 36500d; then 410"
    )
    lease: Annotated[float, between("1s", "12h")] = Field(
        30.0, description="how long a silent worker keeps its jobs, 1s to 12h"
    )
    grace: Annotated[float, between("0s", "1d")] = Field(
        30.0, description="how long a drain may take after SIGTERM, at most 1d"
    )
    credits: Whole | None = Field(
        None, ge=1, description="jobs a worker holds at once; default: four of the largest batch"
    )
    credit_bytes: Annotated[int, size_between(1 << 20)] = Field(
        256 << 20, description="bytes of input a worker holds at once, at least 1MiB"
    )
    max_queued: Whole | None = Field(
        None, ge=1, description="open jobs (queued or running) beyond which submitting answers 429"
    )
    max_body: Annotated[int, size_between(1 << 10)] = Field(
        8 << 20, description="bytes of a request's body, at least 1KiB"
    )
    max_connections: Whole | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="open connections beyond which the API answers 503; a long poll holds one; default: what the system's "
        "limit of open files allows, at most 10000",
    )
    metrics_port: Whole | None = Field(
        None, ge=0, le=65535, description="port of a worker's /metrics on `host`; unset: none"
    )
    kafka: dict[str, str | int | float | bool] = Field(
        {},
        repr=False,
        description="librdkafka's options by their own names; FOREBAY_KAFKA_SASL_USERNAME is sasl.username",
    )
    device: str = Field("auto", description="auto, cpu or cuda[:n]")
    payloads: str | None = Field(
        None,
        description="inputs and results over the inline limit: a folder, or s3://bucket/prefix?endpoint=…&region=…; default: "
        "a folder beside an SQLite store, and with PostgreSQL none",
    )
    inline_bytes: Annotated[int, size_between(1 << 10, MOST_INLINE_BYTES)] = Field(
        INLINE_BYTES,
        description="bytes of an input or a result that its row holds where there are payloads, 1KiB to 248KiB",
    )
    max_upload: Annotated[int, size_between(1 << 10, 5 << 30)] = Field(
        256 << 20, description="bytes of one upload (POST /uploads), 1KiB to 5GiB"
    )
    scoring_roots: Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)] = Field(
        (),
        description="where scoring runs of the service may read and write, separated by commas: folders and "
        "s3://bucket/prefix?endpoint=…&region=…, for outputs postgresql://user:password@host/database#schema; {tenant} in one "
        "stands for who asks; empty: nowhere, the service is off",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _KafkaVariables(settings_cls), env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("home", "models")
    @classmethod
    def _a_path_can_be_opened(cls, path: Path) -> Path:
        if "\0" in str(path):
            raise ValueError("expected a path, there is none with U+0000 in it")
        return path

    @field_validator("queue")
    @classmethod
    def _queue_is_there(cls, queue: str) -> str:
        queue_address.parse(queue)
        return queue

    @field_validator("payloads")
    @classmethod
    def _payloads_are_somewhere(cls, payloads: str | None) -> str | None:
        if payloads is not None:
            payloads_address.parse(payloads)
        return payloads

    @field_validator("scoring_roots")
    @classmethod
    def _roots_are_somewhere(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        Locations(roots)
        return roots

    @field_validator("redis")
    @classmethod
    def _redis_is_a_url(cls, redis: SecretStr | None) -> SecretStr | None:
        if redis is None or not redis.get_secret_value():
            return None
        RedisAddress.parse(redis.get_secret_value())
        return redis

    @field_validator("rate_limit")
    @classmethod
    def _rate_can_be_read(cls, written: str | None) -> str | None:
        if not written:
            return None
        Rate.parse(written)
        return written

    @field_validator("keys")
    @classmethod
    def _tenants_are_names(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for tenant, key in keys.items():
            check_tenant(tenant)
            if len(key.get_secret_value()) < 16:
                raise ValueError(f"key of {tenant!r}: expected at least 16 characters")
        return _each_its_own(keys)

    @model_validator(mode="after")
    def _open_to_others_only_with_keys(self) -> "Settings":
        if not self.keys and not _is_loopback(self.host):
            keys = """FOREBAY_KEYS='{"team": "a-long-random-key"}'"""
            raise ValueError(f"host {self.host} can be reached from outside: set keys first ({keys}), or use 127.0.0.1")
        return self

    @model_validator(mode="after")
    def _the_queues_tenant_has_a_key(self) -> "Settings":
        """Else nobody could ask for the results of jobs that other services put there."""
        at = self.queue_at
        if self.keys and at is not None and at.tenant != DEFAULT_TENANT and at.tenant not in self.keys:
            raise ValueError(f"queue: tenant {at.tenant!r} has no key; there are keys of {', '.join(self.keys)}")
        return self

    @property
    def store_url(self) -> str:
        if self.store is not None:
            return self.store.get_secret_value()
        path = str(self.home.absolute() / "forebay.db")
        return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")

    @property
    def redis_address(self) -> RedisAddress | None:
        return None if self.redis is None else RedisAddress.parse(self.redis.get_secret_value())

    @property
    def rate(self) -> Rate | None:
        """Of each tenant; None: no limit."""
        return None if self.rate_limit is None else Rate.parse(self.rate_limit)

    @property
    def queue_at(self) -> QueueAddress | None:
        """None: the store is the queue."""
        return queue_address.parse(self.queue)

    @property
    def tenants(self) -> dict[str, str]:
        """Hex sha256 of a key → its tenant."""
        return {_digest(key.get_secret_value()): tenant for tenant, key in self.keys.items()}


class _KafkaVariables(PydanticBaseSettingsSource):
    """FOREBAY_KAFKA_BOOTSTRAP_SERVERS and every other option of librdkafka, by its name with dots."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # asked field by field only by sources that have no __call__ of their own

    def __call__(self) -> dict[str, Any]:
        options = {
            _UNDERSCORED.get(option := name.removeprefix(KAFKA_PREFIX).lower().replace("_", "."), option): value
            for name, value in os.environ.items()
            if name.startswith(KAFKA_PREFIX)
        }
        return {"kafka": options} if options else {}


def load(**given: Any) -> Settings:
    """The settings in force; `given` (command line options that are not None) go first. Raises BadSettings."""
    faults = _variable_faults()
    if faults:
        raise BadSettings("\n".join(faults))
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as fault:
        raise BadSettings("\n".join(_mistakes(fault))) from fault
    except SettingsError as fault:
        raise BadSettings(_no_json(fault)) from fault
    except (OSError, ValueError) as fault:  # a forebay.toml that is no TOML
        raise BadSettings(f"{FILE}: {fault}") from fault


def shown(settings: Settings) -> dict[str, Any]:
    """For `forebay config`: secrets masked."""
    values = settings.model_dump(mode="json")
    values["store"] = _masked(settings.store_url)
    values["queue"] = _masked(settings.queue)
    values["redis"] = None if settings.redis is None else _masked(settings.redis.get_secret_value())
    values["scoring_roots"] = [_masked(root) for root in settings.scoring_roots]
    values["keys"] = dict.fromkeys(settings.keys, "********")
    values["kafka"] = {name: "********" if _SECRET.search(name) else value for name, value in settings.kafka.items()}
    return values


def _masked(url: str) -> str:
    url = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&](?:password|passfile|sslpassword|sslkey)=)[^&]*", r"\1***", url)


def _digest(key: str) -> str:
    return key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def _each_its_own(keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Two tenants with one key, even if one is given as its digest, would be one tenant. Raises ValueError."""
    tenants: dict[str, str] = {}
    for tenant, key in keys.items():
        other = tenants.setdefault(_digest(key.get_secret_value()), tenant)
        if other != tenant:
            raise ValueError(
                f"tenants {other!r} and {tenant!r} have one and the same key, expected one of its own for each"
            )
    return keys


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _variable_faults() -> list[str]:
    ours = sorted(name for name in os.environ if name.startswith(PREFIX) and not name.startswith(_OURS_ELSEWHERE))
    return [f"{name}: {fault}" for name in ours if (fault := _variable_fault(name))]


def _variable_fault(name: str) -> str | None:
    """What is wrong with it."""
    if _NO_UTF8.search(os.environ[name]):
        return "expected UTF-8"
    setting, below, nested = name.partition("__")
    if name.startswith(KAFKA_PREFIX) and name[len(KAFKA_PREFIX) :][:1] not in ("", "_"):
        return None
    if setting.removeprefix(PREFIX).lower() not in Settings.model_fields:
        return "no such setting; `forebay config` lists them"
    if not below or name.startswith(_NESTED):
        return None
    return f"expected {KAFKA_PREFIX}{nested}" if setting + "_" == KAFKA_PREFIX else f"not a table, expected {setting}"


def _no_json(fault: SettingsError) -> str:
    """pydantic-settings tells the field in its text only."""
    named = re.search(r'"(\w+)"', str(fault))
    return f"{PREFIX}{named[1].upper() if named else '*'}: expected JSON, such as " + '{"team": "a-long-random-key"}'


def _mistakes(fault: ValidationError) -> list[str]:
    lines = []
    for error in fault.errors(include_url=False):
        name = ".".join(str(part) for part in error["loc"]) or "settings"
        text = "no such setting; `forebay config` lists them" if error["type"] == "extra_forbidden" else error["msg"]
        lines.append(f"{name}: {text.removeprefix('Value error, ')}{_given(error)}")
    return lines


def _given(error: Any) -> str:
    """What stood there, unless it may be a secret or is all of the settings."""
    if not error["loc"] or error["loc"][0] in _UNTOLD or error["type"] == "extra_forbidden":
        return ""
    return f", got {_repr.repr(error['input'])}"
