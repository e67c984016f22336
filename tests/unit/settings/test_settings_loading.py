"""Settings: file, then environment, then what is given; every mistake is one line; secrets never show."""

import hashlib
import os
from pathlib import Path

import pytest

from forebay import sizes
from forebay.settings import DURATIONS, PREFIX, SIZES, BadSettings, Settings, load, shown

KEY = "k" * 20


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def toml(text: str) -> None:
    Path("forebay.toml").write_text(text)


def mistakes(**given: object) -> list[str]:
    with pytest.raises(BadSettings) as bad:
        load(**given)
    return str(bad.value).splitlines()


def test_what_is_given_goes_before_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    toml('port = 1\nhost = "127.0.0.1"\nlease = "10s"\npool = "file"')
    monkeypatch.setenv("FOREBAY_PORT", "2")
    monkeypatch.setenv("FOREBAY_LEASE", "20s")
    settings = load(port=3, host=None)
    assert (settings.port, settings.lease, settings.pool, settings.host) == (3, 20.0, "file", "127.0.0.1")


def test_the_embedded_store_lies_under_home(tmp_path: Path) -> None:
    assert load(home=Path("here")).store_url == f"sqlite:///{tmp_path}/here/forebay.db"
    assert load(store="postgresql://h/d").store_url == "postgresql://h/d"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("1.5h", 5400), ("7 d", 604_800), ("15m", 900), ("2500ms", 2.5), ("60", 60)],
)
def test_durations_are_written_with_a_unit(monkeypatch: pytest.MonkeyPatch, written: str, seconds: float) -> None:
    monkeypatch.setenv("FOREBAY_RETENTION", written)
    assert load().retention == seconds


@pytest.mark.parametrize("written", ["soon", "1w", "-5s", "", "1h30m", "nan", "0s"])
def test_what_is_no_duration(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("FOREBAY_RETENTION", written)
    (line,) = mistakes()
    assert line.startswith("retention: ")


@pytest.mark.parametrize(
    ("setting", "written", "limits"),
    [
        ("grace", "inf", "0s to 1d"),
        ("grace", "nan", "0s to 1d"),
        ("grace", "true", "0s to 1d"),
        ("grace", "1e300", "0s to 1d"),
        ("grace", '"25h"', "0s to 1d"),
        ("grace", "-1", "0s to 1d"),
        ("lease", '"13h"', "1s to 12h"),
        ("lease", '"999ms"', "1s to 12h"),
        ("retention", "inf", "1s to 36500d"),
        ("retention", '"36501d"', "1s to 36500d"),
        ("retention", f'"{"9" * 400}d"', "1s to 36500d"),
        ("retention", "[1]", "1s to 36500d"),
    ],
)
def test_durations_have_limits(setting: str, written: str, limits: str) -> None:
    toml(f"{setting} = {written}")
    (line,) = mistakes()
    assert line.startswith(f"{setting}: expected a duration from {limits}, such as 90s, 15m, 24h or 7d, got ")
    assert len(line) < 200


def test_the_limits_of_durations_are_allowed() -> None:
    settings = load(grace="1d", lease="12h", retention="36500d")
    assert (settings.grace, settings.lease, settings.retention) == (86_400, 43_200, 3_153_600_000)
    assert load(grace=0).grace == 0


def test_every_duration_is_known_as_one() -> None:
    settings = load()
    assert {name for name in Settings.model_fields if isinstance(getattr(settings, name), float)} == DURATIONS


@pytest.mark.parametrize("name", ["credits", "port", "max_queued", "metrics_port"])
def test_true_is_no_number(name: str) -> None:
    toml(f"{name} = true")
    assert mistakes() == [f"{name}: expected a whole number, got True"]


@pytest.mark.parametrize(
    ("written", "size"), [("65536", 65_536), ("64KiB", 65_536), ("8 MiB", 8 << 20), ("1GiB", 1 << 30)]
)
def test_bytes_are_written_with_a_unit(monkeypatch: pytest.MonkeyPatch, written: str, size: int) -> None:
    monkeypatch.setenv("FOREBAY_MAX_BODY", written)
    assert load().max_body == size
    assert sizes.bytes_of(sizes.written(size)) == size


@pytest.mark.parametrize(
    "given", ['"64kb"', '"1.5MiB"', '"-1"', '""', "true", "1.5", "1023", '"249KiB"', '"9999999999999999999"']
)
def test_what_is_no_size_is_told_in_our_words(given: str) -> None:
    toml(f"inline_bytes = {given}")
    (line,) = mistakes()
    assert line.startswith("inline_bytes: expected bytes, from 1KiB to 248KiB, such as 65536, 64KiB or 8MiB, got ")


def test_every_size_is_known_as_one() -> None:
    described = {name: field.description or "" for name, field in Settings.model_fields.items()}
    assert {name for name, text in described.items() if text.startswith("bytes ")} == SIZES


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("FOREBAY_HOME__X", "not a table, expected FOREBAY_HOME"),
        ("FOREBAY_HOME__", "not a table, expected FOREBAY_HOME"),
        ("FOREBAY_PORT__A__B", "not a table, expected FOREBAY_PORT"),
        ("FOREBAY_KAFKA__ACKS", "expected FOREBAY_KAFKA_ACKS"),
        ("FOREBAY_KAFKA_", "no such setting; `forebay config` lists them"),
        ("FOREBAY__HOME", "no such setting; `forebay config` lists them"),
    ],
)
def test_a_variable_below_one_that_is_no_table(monkeypatch: pytest.MonkeyPatch, variable: str, told: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert mistakes() == [f"{variable}: {told}"]


def test_two_tenants_with_one_key_are_refused() -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    for keys in ({"ann": KEY, "bob": KEY}, {"ann": KEY, "bob": digest}):
        (line,) = mistakes(keys=keys)
        assert line.startswith("keys: tenants 'ann' and 'bob' have one and the same key")
        assert KEY not in line
        assert digest not in line


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("FOREBAY_PROT", "1", "FOREBAY_PROT: no such setting; `forebay config` lists them"),
        (
            "FOREBAY_PORT",
            "http",
            "port: Input should be a valid integer, unable to parse string as an integer, got 'http'",
        ),
        ("FOREBAY_PORT", "70000", "port: Input should be less than or equal to 65535"),
        ("FOREBAY_QUEUE", "amqp://q", "queue: expected `store`"),
        ("FOREBAY_CREDITS", "0", "credits: Input should be greater than or equal to 1"),
        ("FOREBAY_HOST", "0.0.0.0", "settings: host 0.0.0.0 can be reached from outside: set keys first"),
        ("FOREBAY_KEYS__TEAM", "short", "keys: key of 'team': expected at least 16 characters"),
        ("FOREBAY_KEYS", '{"no spaces": "' + KEY + '"}', "keys: tenant 'no spaces': expected letters"),
    ],
)
def test_a_mistake_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = mistakes()
    assert line.startswith(told)


def test_variables_of_the_tests_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_TEST_POSTGRES", "postgresql://h/d")
    load()


def test_mistakes_in_the_file_are_named() -> None:
    toml("prot = 1\nlease = 0")
    assert [line.split(":")[0] for line in mistakes()] == ["lease", "prot"]
    toml("port = [")
    assert mistakes()[0].startswith("forebay.toml: ")


def test_what_is_no_text_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_HOME", "a\udcff")
    assert mistakes() == ["FOREBAY_HOME: expected UTF-8"]


def test_a_path_has_no_nul() -> None:
    toml('home = "a\\u0000b"')
    (line,) = mistakes()
    assert line.startswith("home: expected a path, there is none with U+0000 in it")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_needs_no_keys(host: str) -> None:
    assert load(host=host).tenants == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_others_need_a_key(host: str) -> None:
    assert load(host=host, keys={"team": KEY}).host == host
    assert "set keys first" in mistakes(host=host)[0]


def test_a_key_is_kept_as_its_digest_and_may_be_given_as_one() -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    assert load(keys={"team": KEY}).tenants == {digest: "team"}
    assert load(keys={"team": digest}).tenants == {digest: "team"}


@pytest.mark.parametrize(
    "store",
    [
        f"postgresql://user:{KEY}@host/db",
        f"postgresql://user:{KEY}@host/db?sslmode=require",
        f"postgresql://:{KEY}@host/db",
        f"postgresql://host/db?user=u&password={KEY}",
    ],
)
def test_no_secret_shows(store: str) -> None:
    settings = load(store=store, keys={"team": KEY})
    for text in (str(shown(settings)), repr(settings), str(settings)):
        assert KEY not in text
    assert "host/db" in shown(settings)["store"]


def test_a_secret_does_not_show_in_a_mistake() -> None:
    assert KEY not in "\n".join(mistakes(keys={"no spaces": KEY}, port=-1))
    assert KEY not in "\n".join(mistakes(keys=KEY, store=[KEY], queue=KEY, kafka=KEY))
    assert KEY not in "\n".join(mistakes(keys={"a": {"b": KEY}}, kafka={"sasl.password": [KEY]}, sotre=KEY))


def test_every_setting_is_shown_and_described() -> None:
    assert set(shown(load())) == set(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_json_that_is_none_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_KEYS", "{")
    assert "forebay.toml" not in mistakes()[0]
