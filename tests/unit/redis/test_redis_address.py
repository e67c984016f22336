"""`FOREBAY_REDIS` and `FOREBAY_RATE_LIMIT`: what is taken, what is refused in one line, what is shown."""

import pytest

from forebay.settings import BadSettings, load, shown
from pipelines.redis.address import RedisAddress


def test_every_part_of_the_url() -> None:
    at = RedisAddress.parse("rediss://app:s%40cret@cache.internal:6380/3?prefix=blue.1&ssl_ca_certs=/etc/ca.pem")
    assert (at.host, at.port, at.db, at.username, at.password) == ("cache.internal", 6380, 3, "app", "s@cret")
    assert (at.tls, at.prefix, at.files) == (True, "blue.1", (("ssl_ca_certs", "/etc/ca.pem"),))
    ours = at.of("0123abcd")
    assert ours.key("result", "t", "a:b") == "blue.1:0123abcd:result:t:a:b"
    assert (ours.host, ours.password, "s@cret" in repr(ours)) == (at.host, at.password, False)


@pytest.mark.parametrize("url", ["redis://h", "redis://h/", "redis://h:6379/0", "redis://h?prefix=forebay"])
def test_what_is_left_out(url: str) -> None:
    assert RedisAddress.parse(url) == RedisAddress("h")


def test_an_address_of_version_six_and_a_password_alone() -> None:
    at = RedisAddress.parse("redis://:hunter2@[::1]:7000")
    assert (at.host, at.port, at.username, at.password) == ("::1", 7000, None, "hunter2")
    assert "hunter2" not in f"{at} {at!r}"
    assert str(at) == "[::1]:7000"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:6379", "expected redis://"),
        ("http://h", "expected redis://"),
        ("redis://", "expected redis://"),
        ("redis:///0", "expected redis://"),
        ("unix:///tmp/redis.sock", "expected redis://"),
        ("redis://:hunter2@h:x", "port: expected a number"),
        ("redis://:hunter2@h:70000", "port: expected a number"),
        ("redis://:hunter2@h:0", "expected redis://"),
        ("redis://:hunter2@h/jobs", "database: expected a number"),
        ("redis://:hunter2@h/0/1", "database: expected a number"),
        ("redis://:hunter2@h?db=1", "option 'db': expected one of prefix"),
        ("redis://:hunter2@h?ssl_ca_certs=x", "option 'ssl_ca_certs'"),
        ("rediss://:hunter2@h?ssl_cert_reqs=none", "option 'ssl_cert_reqs'"),
        ("redis://:hunter2@h?prefix=a:b", "prefix: expected letters"),
        ("redis://:hunter2@h?prefix=", "prefix: expected letters"),
        ("redis://:hunter2@h?prefix=a&prefix=b", "an option came twice"),
        ("redis://:hunter2@h%20x", "host: expected a name"),
        ("redis://:hunter2@h#x", "expected redis://"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_without_secrets(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_REDIS", url)
    with pytest.raises(BadSettings) as bad:
        load()
    assert str(bad.value).startswith("redis: ")
    assert told in str(bad.value)
    assert "hunter2" not in str(bad.value)
    assert "\n" not in str(bad.value)


def test_it_is_shown_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_REDIS", "redis://app:hunter2@h:7000/1?prefix=p")
    assert shown(load())["redis"] == "redis://app:***@h:7000/1?prefix=p"


def test_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_REDIS", "")
    monkeypatch.setenv("FOREBAY_RATE_LIMIT", "")
    settings = load()
    assert (settings.redis_address, settings.rate) == (None, None)
    assert (shown(settings)["redis"], shown(settings)["rate_limit"]) == (None, None)


def test_a_rate_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_RATE_LIMIT", "fast")
    with pytest.raises(BadSettings, match=r"rate_limit: expected jobs per second, .* such as 100/s.*got 'fast'"):
        load()
