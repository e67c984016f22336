from typing import Any

import pytest
from conftest import connection
from standin import StandIn

from forebay_airflow.address import BadConnection, address_of
from forebay_airflow.hook import ForebayHook
from forebay_client import IdempotencyConflict, Unauthorized, Unavailable

ORDER = {"run_id": "a", "model": "digits", "input": "s3://lake/in", "output": "s3://lake/out"}


def stored(**given: Any) -> Any:
    from airflow.sdk import Connection

    return Connection(conn_id="forebay_default", conn_type="forebay", **given)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"host": "api", "port": 8000}, "http://api:8000"),
        ({"host": "api", "schema": "https"}, "https://api"),
        ({"host": "https://api/forebay/"}, "https://api/forebay"),
        ({"host": "https://api/forebay", "port": 8443}, "https://api:8443/forebay"),
    ],
)
def test_where_a_connection_leads(given: dict[str, Any], url: str) -> None:
    address = address_of(stored(password="s3cret", **given))
    assert (address.base_url, address.key) == (url, "s3cret")
    assert "s3cret" not in repr(address)
    assert address_of(stored(**given)).link("a/b") == f"{url}/scoring_runs/a%2Fb"


PUBLIC = '{"public_url": "https://forebay.example/"}'


@pytest.mark.parametrize(
    ("given", "link"),
    [
        ({}, "http://api/scoring_runs/a"),
        ({"password": "s3cret"}, ""),
        ({"extra": PUBLIC}, "https://forebay.example/scoring_runs/a"),
        ({"password": "s3cret", "extra": PUBLIC}, "https://forebay.example/scoring_runs/a"),
    ],
)
def test_links_lead_where_people_are_let_in(given: dict[str, Any], link: str) -> None:
    """A browser has no key."""
    assert address_of(stored(host="api", **given)).link("a") == link


@pytest.mark.parametrize("given", [{}, {"host": "api", "schema": "ftp"}, {"host": "ftp://api"}])
def test_a_connection_that_leads_nowhere(given: dict[str, Any]) -> None:
    with pytest.raises(BadConnection, match="'forebay_default' has"):
        address_of(stored(**given))


def test_the_connection_is_tested(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ForebayHook().test_connection() == (True, f"Forebay answers at {forebay.url}")
    monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", connection(forebay.url).replace("s3cret", "wrong"))
    assert ForebayHook().test_connection() == (False, "a valid key is needed")
    monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", "forebay://127.0.0.1:9/http")
    works, why = ForebayHook().test_connection()
    assert not works
    assert why.startswith("http://127.0.0.1:9 cannot be reached (")


def test_what_passes_is_tried_again_and_done_once(forebay: StandIn) -> None:
    forebay.away = 2
    assert ForebayHook().submit(ORDER).run_id == "a"
    assert forebay.count("POST", "/scoring_runs") == 3
    assert list(forebay.runs) == ["a"]


def test_what_does_not_pass_is_told_in_a_line(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay_airflow.asking.TRIES", 2)
    forebay.away = 9
    with pytest.raises(Unavailable, match=r"^the store is away$"):
        ForebayHook().look("a")
    assert forebay.count("GET", "/a") == 2


def test_another_order_under_the_same_name_is_refused_at_once(forebay: StandIn) -> None:
    ForebayHook().submit(ORDER)
    with pytest.raises(IdempotencyConflict, match="run id a belongs to another order"):
        ForebayHook().submit(ORDER | {"output": "s3://lake/other"})
    assert forebay.count("POST", "/scoring_runs") == 2


def test_a_wrong_key_is_refused_at_once(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", connection(forebay.url).replace("s3cret", "wrong"))
    with pytest.raises(Unauthorized):
        ForebayHook().look("a")


def test_canceling_what_never_arrived_is_no_error(forebay: StandIn) -> None:
    assert ForebayHook().cancel("a") is None
