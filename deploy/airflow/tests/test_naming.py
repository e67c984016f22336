import re
from datetime import timedelta, timezone

from contexts import DAY, context

from forebay_airflow.naming import LONGEST, run_id_of

ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What the service takes for a run id."""


def test_a_retry_and_another_run_of_the_same_interval_are_the_same_run() -> None:
    named = run_id_of(context(run="scheduled__1"))
    assert re.fullmatch(r"nightly\.score\.20260120T000000Z-[0-9a-f]{8}", named)
    assert run_id_of(context(run="manual__2")) == named
    assert run_id_of(context(DAY.astimezone(timezone(timedelta(hours=9))))) == named


def test_other_work_is_another_run() -> None:
    named = {
        run_id_of(one)
        for one in [
            context(), context(DAY + timedelta(days=1)), context(index=0), context(index=1), context(task="score.1"),
            context(dag="nightly.score", task="score"), context(dag="nightly", task="score.score"),
            context(None, logical=DAY), context(None, run="a"), context(None, run="b"),
            context(DAY + timedelta(microseconds=1)),
        ]
    }  # fmt: skip
    assert len(named) == 11


def test_without_an_interval_the_logical_date_counts_then_the_run() -> None:
    assert run_id_of(context(None, logical=DAY, run="a")) == run_id_of(context(None, logical=DAY, run="b"))
    assert run_id_of(context(None, run="manual__2026-01-20T07:00:00+00:00")).startswith(
        "nightly.score.manual__2026-01-20T07-00-00-00-00-"
    )


def test_it_is_what_the_service_takes_whatever_airflow_allows() -> None:
    for dag in ["_hidden", "-x", ".", "nächtlich", "日次", "x" * 250]:
        named = run_id_of(context(None, dag=dag, task="y" * 250, index=1234, run="ü" * 250))
        assert ACCEPTED.fullmatch(named), named
        assert len(named) <= LONGEST
