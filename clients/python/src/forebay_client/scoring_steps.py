"""What the client does for scoring runs; see `forebay_client.steps`."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from forebay_client.errors import ScoringRunTimeout
from forebay_client.scoring import ScoringOptions, ScoringRun
from forebay_client.steps import Call, Operations, Steps, items_of, json_of, text_of

RUNS = "/scoring_runs"


@dataclass(frozen=True)
class AllOperations(Operations):
    """Of jobs and of scoring runs."""

    def score(
        self, model: str, input: str, output: str, run_id: str | None, options: ScoringOptions
    ) -> Steps[ScoringRun]:
        # An id of our own, so that a lost answer, sent again, never makes two runs.
        body = options.body(str(uuid.uuid4()) if run_id is None else run_id, model, input, output)
        reply = yield from self.send(Call("POST", RUNS, body, {"content-type": "application/json"}))
        return ScoringRun.read({**_asked(body), **json_of(reply)})

    def scoring_run(self, run: ScoringRun | str, wait: float | None) -> Steps[ScoringRun]:
        params = {"wait": f"{wait:.3f}"} if wait else {}
        reply = yield from self.send(Call("GET", _path(run), params=params, held=wait or 0.0))
        return ScoringRun.read(json_of(reply))

    def wait_scoring_run(self, run: ScoringRun | str, timeout: float | None) -> Steps[ScoringRun]:
        def late(seen: ScoringRun) -> ScoringRunTimeout:
            detail = f"scoring run {seen.run_id} is {seen.status} after {timeout:g} s: it goes on"
            return ScoringRunTimeout(detail, seen)

        return self.until_done(_path(run), ScoringRun.read, late, timeout)

    def cancel_scoring_run(self, run: ScoringRun | str) -> Steps[ScoringRun]:
        reply = yield from self.send(Call("POST", f"{_path(run)}/cancel"))
        return ScoringRun.read(json_of(reply))

    def scoring_page(
        self, filters: Mapping[str, Any], cursor: str | None
    ) -> Steps[tuple[list[ScoringRun], str | None]]:
        params = {name: text_of(value) for name, value in filters.items() if value is not None}
        if cursor is not None:
            params["cursor"] = cursor
        body = json_of((yield from self.send(Call("GET", RUNS, params=params))))
        return [ScoringRun.read(item) for item in items_of(body, "runs")], body.get("cursor")


def _asked(body: bytes) -> dict[str, Any]:
    """What the answer to a submission leaves out."""
    asked = json.loads(body)
    return {name: asked[name] for name in ("model", "input", "output")}


def _path(run: ScoringRun | str) -> str:
    return f"{RUNS}/{quote(run.run_id if isinstance(run, ScoringRun) else run, safe='')}"
