"""The service's HTTP contract, with the connection that Airflow keeps."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import httpx
from airflow.sdk import BaseHook
from tenacity import AsyncRetrying, Retrying

from forebay_airflow.address import Address, address_of
from forebay_airflow.asking import Ask, answered, canceling, client_options, looking, retrying, submitting, unreached
from forebay_airflow.runs import Run
from forebay_client import ForebayError, NotFound

NOBODY = "forebay-airflow-tests-its-connection"
"""A run id that no run has."""


class ForebayHook(BaseHook):
    """Orders, watches and cancels scoring runs. Every method raises a ForebayError of one line when it cannot; what may pass
    (no answer, 429, 502 to 504) is tried again before.

    :param forebay_conn_id: a connection of type `forebay`
    """

    conn_name_attr = "forebay_conn_id"
    default_conn_name = "forebay_default"
    conn_type = "forebay"
    hook_name = "Forebay"

    def __init__(self, forebay_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.forebay_conn_id = forebay_conn_id

    @cached_property
    def address(self) -> Address:
        """Looked up once: `on_kill` interrupts whatever the task does and must not ask Airflow for it."""
        return address_of(self.get_connection(self.forebay_conn_id))

    def get_conn(self) -> httpx.Client:
        """To be closed by the caller."""
        return httpx.Client(**client_options(self.address))

    def submit(self, order: Mapping[str, Any]) -> Run:
        """The run of `order["run_id"]`, queued unless it is there already; one that failed or was canceled is queued again.
        IdempotencyConflict when the run id belongs to another order."""
        return self._ask(submitting(order))

    def look(self, run_id: str, wait: float = 0.0) -> Run:
        return self._ask(looking(run_id, wait))

    def cancel(self, run_id: str) -> Run | None:
        """How it stands then; None when there is no such run."""
        try:
            return self._ask(canceling(run_id))
        except NotFound:
            return None

    def test_connection(self) -> tuple[bool, str]:
        """Asks for a run that nobody has: 404 says that the address and the key are right."""
        try:
            self._once(looking(NOBODY))
        except NotFound:
            return True, f"Forebay answers at {self.address.base_url}"
        except ForebayError as met:
            return False, str(met)
        return True, f"Forebay answers at {self.address.base_url}"

    def _ask(self, ask: Ask) -> Run:
        return Retrying(**retrying())(self._once, ask)

    def _once(self, ask: Ask) -> Run:
        with self.get_conn() as client:
            try:
                return answered(client.request(**ask.options()))
            except httpx.RequestError as why:
                raise unreached(self.address, why) from None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """For Airflow versions that do not read it from the provider's description."""
        from forebay_airflow.info import FIELDS

        return dict(FIELDS)


class AsyncRuns:
    """The same for the triggerer's event loop: `async with AsyncRuns(address) as runs`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = httpx.AsyncClient(**client_options(address))

    async def __aenter__(self) -> "AsyncRuns":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def look_once(self, run_id: str, wait: float = 0.0) -> Run:
        """Without another try: who watches looks again anyway."""
        return await self._once(looking(run_id, wait))

    async def cancel(self, run_id: str) -> Run | None:
        try:
            return await AsyncRetrying(**retrying())(self._once, canceling(run_id))
        except NotFound:
            return None

    async def _once(self, ask: Ask) -> Run:
        try:
            return answered(await self._client.request(**ask.options()))
        except httpx.RequestError as why:
            raise unreached(self._address, why) from None
