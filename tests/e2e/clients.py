"""Clients over HTTP that keep a history. One that gets no answer, or a 5xx, tries again with the same key."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e import probe
from tests.e2e.history import Event, History
from tests.e2e.probe import Kind

PATIENCE = 60.0
"""Seconds that a client tries to submit one item."""
TIMEOUT = 10.0


class Client:
    """Used by one thread. `url` is asked before every request: an API that was started again has another port."""

    def __init__(self, url: Callable[[], str], history: History) -> None:
        self._url = url
        self._history = history
        self._http = httpx.Client(timeout=TIMEOUT)
        self.away_longest = 0.0
        """Seconds that the slowest answer took that said 5xx."""

    def submit(self, key: str, n: int, kind: Kind = Kind.GOOD) -> str:
        """The id. Tries until it is accepted or refused; raises Refused."""
        self._history.add(Event("invoke", key, n, kind))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self._try(key, n, kind)
            if answer is not None and answer.status_code == 202:
                id = str(answer.json()["job_id"])
                self._history.add(Event("ok", key, n, kind, id=id))
                return id
            if answer is not None and answer.status_code < 500 and answer.status_code != 429:
                self._history.add(Event("refused", key, n, kind))
                raise Refused(f"{answer.status_code}: {answer.text}")
            self._history.add(Event("unknown", key, n, kind))
            time.sleep(0.05)
        raise Refused(f"key {key} was not accepted for {PATIENCE:g} s")

    def look(self, id: str, wait: float = 0) -> dict[str, Any]:
        answer = self._http.get(f"{self._url()}/result/{id}", params={"wait": wait} if wait else {})
        body: dict[str, Any] = answer.json()
        result = body["result"]["y"][0] if "result" in body else None
        self._history.add(
            Event(
                "seen",
                id=id,
                status=body["status"],
                attempt=body["attempt"],
                generation=body["generation"],
                result=result,
            )
        )
        return body

    def close(self) -> None:
        self._http.close()

    def _try(self, key: str, n: int, kind: Kind) -> httpx.Response | None:
        began = time.monotonic()
        try:
            answer = self._http.post(
                f"{self._url()}/predict_async",
                json={"model": probe.NAME, "inputs": probe.inputs(n, kind)},
                headers={"Idempotency-Key": key},
            )
        except httpx.TransportError:
            return None
        if answer.status_code >= 500:
            self.away_longest = max(self.away_longest, time.monotonic() - began)
        return answer


class Refused(Exception):
    pass


class Load:
    """Clients that submit, and look at what they submitted, until they are stopped."""

    def __init__(self, url: Callable[[], str], history: History, pause: float, kind: Kind, seed: int) -> None:
        self._url = url
        self._history = history
        self._pause = pause
        self._kind = kind
        self._seed = seed
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self.ids: list[str] = []
        self.away_longest = 0.0

    def start(self, clients: int) -> None:
        for number in range(clients):
            thread = threading.Thread(target=self._run, args=(random.Random(self._seed + number),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Each client finishes what it submits. Raises what broke one."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE + TIMEOUT)
        if self._faults:
            raise self._faults[0]

    def _run(self, chance: random.Random) -> None:
        client = Client(self._url, self._history)
        try:
            while not self._stopping.is_set():
                n = next(self._numbers)
                self.ids.append(client.submit(f"key-{n}", n, self._kind))
                if chance.random() < 0.1:
                    self._look(client, chance.choice(self.ids))
                self._stopping.wait(self._pause)
        except BaseException as fault:  # noqa: BLE001  # raised again by stop()
            self._faults.append(fault)
        finally:
            self.away_longest = max(self.away_longest, client.away_longest)
            client.close()

    def _look(self, client: Client, id: str) -> None:
        try:
            client.look(id)
        except (httpx.TransportError, KeyError):
            return  # the API is away: a problem, or no answer, tells nothing about the job


@contextmanager
def load(
    url: Callable[[], str],
    history: History,
    *,
    clients: int = 2,
    pause: float = 0.01,
    kind: Kind = Kind.SLOW,
    seed: int = 1,
) -> Iterator[Load]:
    made = Load(url, history, pause, kind, seed)
    made.start(clients)
    try:
        yield made
    finally:
        made.stop()


def submit_all(url: str, history: History, items: Iterable[tuple[int, Kind]]) -> list[str]:
    client = Client(lambda: url, history)
    try:
        return [client.submit(f"key-{n}", n, kind) for n, kind in items]
    finally:
        client.close()
