"""When Redis is used, when it is told to be away, when it is back: once each."""

import socket

from redis.exceptions import ConnectionError, TimeoutError
from redis_parts_driver import Times, Told, health_of, until

from tests.services.redis import Redis, RunningRedis


def test_after_a_fault_it_rests_for_a_second(redis_url: str) -> None:
    told, times = Told(), Times()
    health = health_of(redis_url, told, times)
    health.beat()
    assert (health.usable, health.fault) == (True, None)
    health.failed(TimeoutError("late"))
    health.beat()
    assert not health.usable, "the pulse came too soon after the fault"
    times.now += 1.0
    health.beat()
    assert health.usable
    assert (told, health.fault) == ([], None), "one call that was late is not worth a line"
    health.close()


def test_it_is_told_once_when_it_goes_and_once_when_it_is_back_to_stay(own_redis: Redis) -> None:
    told, times = Told(), Times()
    health = health_of(own_redis.url, told, times)
    own_redis.kill()
    for _ in range(5):
        health.failed(ConnectionError("Connection closed by server."))
        health.beat()
    assert not health.usable
    assert health.fault is not None
    assert told == [
        f"redis: 127.0.0.1:{own_redis.port}: Connection closed by server; results come from the store, notices by its way"
    ]
    own_redis.restart()
    times.now += 1.0
    health.beat()
    assert health.usable, "used again at once"
    assert len(told) == 1, "but not praised yet"
    times.now += 5.0
    health.beat()
    assert (len(told), told[-1], health.fault) == (2, f"redis: 127.0.0.1:{own_redis.port}: it is back", None)
    health.close()


def test_a_wrong_password_is_told_without_it(own_redis: Redis) -> None:
    with own_redis.client() as client:
        client.config_set("requirepass", "right-one")
    told = Told()
    health = health_of(f"redis://:wrong-one@127.0.0.1:{own_redis.port}/0", told)
    health.beat()
    assert not health.usable
    assert "password" in told[0].lower()
    assert "wrong-one" not in told[0]
    health.close()


def test_read_only_and_full_are_found(own_redis: Redis) -> None:
    for setting in ({"maxmemory": "1"}, {"min-replicas-to-write": "3"}):
        told = Told()
        health = health_of(own_redis.url, told)
        with own_redis.client() as client:
            for name, value in setting.items():
                client.config_set(name, value)
            health.beat()
            for name in setting:
                client.config_set(name, "0")
        assert not health.usable, setting
        assert len(told) == 1
        health.close()


def test_one_that_swallows_everything_is_given_up(own_redis: Redis) -> None:
    told = Told()
    health = health_of(own_redis.url, told, timeout=0.2)
    own_redis.freeze()
    health.beat()
    own_redis.thaw()
    assert "Timeout" in told[0]
    assert health.fault == told[0]
    health.close()


def test_two_slow_pulses_are_too_slow(redis: RunningRedis) -> None:
    class Slow(Times):
        def __call__(self) -> float:
            self.now += 0.3  # between the beginning of a pulse and its end
            return self.now

    told = Told()
    health = health_of(redis.fresh_url(), told, Slow())
    health.beat()
    assert health.usable
    health.beat()
    assert not health.usable
    assert "it answers in 300 ms" in told[0]
    health.close()


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = Told()
        health = health_of(f"redis://127.0.0.1:{taken.getsockname()[1]}", told)
        health.start()
        until(lambda: told)
        assert "Connection refused; " in told[0]
        health.close()
