"""`forebay submit`: through the store itself, no server needed."""

import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli import opened, options
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import json_line, progress, say
from schemas.jobs import DEFAULT_PRIORITY, DEFAULT_TENANT, Accepted, Submission

if TYPE_CHECKING:
    from forebay.cli.inputs import Drafter, Line
    from forebay.settings import Settings
    from pipelines.payloads.deposits import Deposits
    from pipelines.store.notices import Notices
    from pipelines.store.sql import SqlStore

CHUNK = 500
"""Inputs that are committed together."""


def submit(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    input: Annotated[str | None, typer.Option(metavar="JSON", help="One input.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON Lines, one input each; - reads standard input.")] = None,
    version: Annotated[str | None, typer.Option(help="Number or alias.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="The higher runs first.")] = DEFAULT_PRIORITY,
    expires_in: Annotated[
        float | None,
        typer.Option(parser=options.positive_duration, metavar="DURATION", help="It expires if not started by then."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key, for a single input.")] = None,
    wait: options.Wait = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    models: options.Models = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Submit inputs; prints the ids. Lines that do not fit are named and left out, and the exit code is 1 then."""
    from api.ids import Ids
    from forebay import catalogs
    from forebay.cli import inputs
    from schemas.submissions import MAX_EXPIRES_IN

    inputs.check_key(key)
    if expires_in is not None and expires_in > MAX_EXPIRES_IN:
        raise CommandError(f"--expires-in: expected at most {MAX_EXPIRES_IN / 86_400:g}d", Exit.USAGE)
    settings = opened.settings_with(home, models)
    found = catalogs.open_catalog(settings).resolve(model, version)
    request = inputs.Request(tenant, version, priority, expires_in, key)
    drafter = inputs.Drafter(found, request, Ids(time.time, secrets.randbits))
    size = file.stat().st_size if file is not None and file.is_file() else None
    with inputs.opened(input, file, settings.max_body) as lines:
        given = _only(lines) if key is not None else lines
        with opened.store(settings) as store, opened.notices(settings, store) as notices:
            print_id = _no_id if wait is not None else _json_id if json else print
            sent = _Sending(store, notices, drafter, print_id, settings)
            try:
                with progress("submitting", size) as advance:
                    sent.all(given, advance)
                waited = Exit.OK if wait is None else _wait(settings, store, tenant, sent.ids, wait, json)
            except KeyboardInterrupt:
                sent.interrupted(None if wait is None else _json_id if json else print, _as_given(tenant, home))
                raise
    sent.summary(file)
    raise typer.Exit(Exit.FAILED if sent.bad else waited)


class _Sending:
    def __init__(
        self, store: "SqlStore", notices: "Notices", drafter: "Drafter", print_id: Callable[[str], None], settings: "Settings"
    ) -> None:  # fmt: skip
        self._store = store
        self._notices = notices
        self._drafter = drafter
        self._print_id = print_id
        self._settings = settings
        self._deposits: Deposits | None = None
        self.ids: list[str] = []
        self.bad = 0
        self._unsure = 0
        """Inputs that are being committed."""

    def all(self, lines: Iterator["Line"], advance: Callable[[int], None]) -> None:
        while chunk := list(islice(lines, CHUNK)):
            drafts = [draft for line in chunk if (draft := self._draft(line)) is not None]
            drafts = self._placed(drafts)
            self._unsure = len(drafts)
            for outcome in self._store.submit(drafts):
                if not isinstance(outcome, Accepted):
                    raise CommandError(f"the idempotency key belongs to job {outcome.id}, submitted with another input")
                self.ids.append(outcome.id)
                self._unsure -= 1
                self._print_id(outcome.id)
            self._notices.work()
            advance(sum(line.size for line in chunk))

    def _placed(self, drafts: list[Submission]) -> list[Submission]:
        """With the inputs put that are too large for their rows."""
        if all(len(draft.inputs) <= self._settings.inline_bytes for draft in drafts):
            return drafts
        deposits = self._deposits = self._deposits or opened.deposits(self._settings, self._store)
        return drafts if deposits is None else [deposits.of_submission(draft) for draft in drafts]

    def summary(self, file: Path | None) -> None:
        if file is None:
            return
        if not self.ids and not self.bad:
            raise CommandError(f"{file}: no inputs in it")
        say(f"{len(self.ids)} submitted" + (f", {self.bad} left out" if self.bad else ""))

    def interrupted(self, print_id: Callable[[str], None] | None, options: str) -> None:
        """What is there already, and how to look at it. `print_id`: when no ids were printed so far."""
        if print_id is not None:
            for id in self.ids:
                print_id(id)
        perhaps = f", and perhaps {self._unsure} more" if self._unsure else ""
        look = f"look with `forebay result <job_id>{options}` or `forebay jobs ls{options}`"
        say(f"interrupted: {len(self.ids)} submitted{perhaps}" + (f"; {look}" if self.ids or perhaps else ""))

    def _draft(self, line: "Line") -> Submission | None:
        from pipelines.ports import InvalidInput

        try:
            return self._drafter.draft(line)
        except InvalidInput as fault:
            self.bad += 1
            say(f"{line.place}: {fault}")
            return None


def _only(lines: Iterator["Line"]) -> Iterator["Line"]:
    first = list(islice(lines, 2))
    if len(first) != 1:
        raise CommandError(f"--key names one job, there are {'more inputs' if first else 'no inputs'}", Exit.USAGE)
    return iter(first)


def _wait(settings: "Settings", store: "SqlStore", tenant: str, ids: list[str], seconds: float, json: bool) -> Exit:
    from forebay.cli import results, waiting
    from pipelines.clock import SystemClock

    found = waiting.until_ended(store, tenant, ids, seconds, SystemClock())
    found = opened.with_results(settings, store, found)
    for id in ids:
        results.show(id, found.get(id), json)
    return waiting.exit_code(ids, found)


def _as_given(tenant: str, home: Path | None) -> str:
    """The options by which another command finds the same jobs."""
    named = f" --tenant {tenant}" if tenant != DEFAULT_TENANT else ""
    return named + (f" --home {shlex.quote(str(home))}" if home is not None else "")


def _json_id(id: str) -> None:
    json_line({"job_id": id})


def _no_id(_id: str) -> None:
    """Its record is printed once it has ended."""
