"""The parts of the queue on SQS, on a client that answers as a test says."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from pipelines.admission.direct import Direct
from pipelines.ports import Message
from pipelines.queues.sqs_calls import LONGEST_S, Calls, set_visibility
from pipelines.queues.sqs_inbox import DEMAND_S, Arrival, Inbox, Limit, Receipt
from pipelines.queues.sqs_messages import decode
from pipelines.queues.sqs_outlet import SqsOutlet
from pipelines.queues.sqs_receiving import Plan
from pipelines.queues.sqs_settling import Settling
from pipelines.queues.sqs_tending import Tending
from pipelines.sqs.client import MOST_BYTES
from pipelines.sqs.daemons import Daemons
from pipelines.sqs.losses import LATE_S, Losses
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from pipelines.sqs.queues import Redrive
from pipelines.sqs.redrive import advice

URL = "http://sqs/0/jobs"
LEASE = 40
FAILED = {"Code": "InternalError", "Message": "try again", "SenderFault": False}
STALE = {"Code": "ReceiptHandleIsInvalid", "Message": "not valid", "SenderFault": True}
NOT_THERE = {
    "Code": "InvalidParameterValue",
    "Message": "Message does not exist or is not available",
    "SenderFault": True,
}


class Client:
    """Answers each batch by `faults`: handle, or body of a send, → what its entry fails with, that many times."""

    def __init__(self) -> None:
        self.faults: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, list[str]]] = []
        self.lock = threading.Lock()

    def get_queue_url(self, **asked: Any) -> Any:
        return {"QueueUrl": URL}

    def send_message_batch(self, **asked: Any) -> Any:
        return self._batch("send", "MessageBody", asked)

    def delete_message_batch(self, **asked: Any) -> Any:
        return self._batch("delete", "ReceiptHandle", asked)

    def change_message_visibility_batch(self, **asked: Any) -> Any:
        return self._batch(f"change to {asked['Entries'][0]['VisibilityTimeout']}", "ReceiptHandle", asked)

    def _batch(self, name: str, key: str, asked: Any) -> Any:
        with self.lock:
            self.asked.append((name, [entry[key] for entry in asked["Entries"]]))
            found = {entry["Id"]: (self.faults.get(entry[key]) or [None]).pop(0) for entry in asked["Entries"]}
        for fault in found.values():
            if isinstance(fault, Exception):
                raise fault
        return {
            "Successful": [{"Id": id} for id, fault in found.items() if fault is None],
            "Failed": [{"Id": id, **fault} for id, fault in found.items() if fault is not None],
        }


class World:
    def __init__(self) -> None:
        self.client = Client()
        self.told: list[str] = []
        self.now = 1_000_000.0
        self.pool = Daemons(2, "test")
        self.losses = Losses(lambda queue: [f"model of {queue}"], lambda: self.now)
        self.presence = Presence(self.told.append, lambda: self.now)
        self.calls = Calls(self.client, self.presence, lambda: self.now, self.pool)  # type: ignore[arg-type]  # no receive
        self.inbox = Inbox(Limit(100, 1 << 20), 4, lambda: self.now)

    def receipt(self, handle: str, age: float = 0.0) -> Receipt:
        return Receipt(URL, handle, self.now - age)

    def arrive(self, handle: str, age: float) -> Arrival:
        arrival = Arrival(self.receipt(handle, age), Message(handle, 0), 10, self.now - age)
        self.inbox.add([arrival])
        return arrival


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.pool.shutdown()


class TestOutlet:
    def outlet(self, world: World) -> SqsOutlet:
        return SqsOutlet(
            world.client,
            lambda model: Named("jobs"),
            lambda: "unique",
            world.presence,
            world.losses,
            patience=5.0,  # type: ignore[arg-type]  # no receive
        )

    def test_each_entry_is_confirmed_by_itself(self, world: World) -> None:
        messages = [Message(f"job-{n}", 0) for n in range(25)]
        for n in (3, 17):
            world.client.faults[f'{{"id":"job-{n}","generation":0}}'] = [FAILED]
        outlet = self.outlet(world)
        assert [n for n, ok in enumerate(outlet.send(messages)) if not ok] == [3, 17]
        assert sorted(len(bodies) for _, bodies in world.client.asked) == [5, 10, 10]
        assert "InternalError: try again" in world.told[0]
        outlet.close()

    def test_a_batch_is_no_larger_than_sqs_takes(self, world: World) -> None:
        outlet = self.outlet(world)
        assert all(outlet.send([Message(f"job-{n}", 0, b'"%s"' % ("ä" * 30_000).encode()) for n in range(12)]))
        sizes = [sum(len(body.encode()) for body in bodies) for _, bodies in world.client.asked]
        assert max(sizes) <= MOST_BYTES
        assert sorted(len(bodies) for _, bodies in world.client.asked) == [4, 4, 4]
        outlet.close()

    def test_a_queue_that_was_missing_and_is_there_again_was_made_anew(self, world: World) -> None:
        code = "AWS.SimpleQueueService.NonExistentQueue"
        missing = ClientError({"Error": {"Code": code, "Message": "none"}}, "SendMessageBatch")
        world.client.faults['{"id":"a","generation":0}'] = [EndpointConnectionError(endpoint_url="x"), None, missing]
        outlet = self.outlet(world)
        for _ in range(4):  # away, back, missing, made anew
            world.now += 60
            assert outlet.lost() == []
            outlet.send([Message("a", 0)])
        assert outlet.lost() == [], "what was sent a moment ago is stamped first"
        world.now += LATE_S
        assert outlet.lost() == ["model of jobs"]
        assert outlet.lost() == []
        outlet.close()

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (EndpointConnectionError(endpoint_url="http://sqs"), "nothing answers"),
            (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch"), "no permission"),
            (ClientError({"Error": {"Code": "RequestThrottled", "Message": "slow"}}, "SendMessageBatch"), "slow"),
        ],
    )
    def test_a_call_that_fails_confirms_nothing_and_raises_nothing(
        self, world: World, fault: Exception, told: str
    ) -> None:
        world.client.faults['{"id":"a","generation":0}'] = [fault]
        outlet = self.outlet(world)
        assert outlet.send([Message("a", 0), Message("b", 0)]) == [False, False]
        assert told in world.told[0]
        assert "\n" not in world.told[0]
        assert world.told[0].count("sqs: ") == 1
        assert outlet.away == world.told[0]
        outlet.close()

    def test_an_outage_is_told_once_and_its_end(self, world: World) -> None:
        fault = EndpointConnectionError(endpoint_url="http://sqs")
        world.client.faults['{"id":"a","generation":0}'] = [fault] * 5
        outlet = self.outlet(world)
        for seconds in (0, 1, 1, 300, 1):
            world.now += seconds
            outlet.send([Message("a", 0)])
        line = "sqs: send, queue 'jobs': nothing answers: Could not connect to the endpoint URL: \"http://sqs\""
        assert world.told == [line, f"{line} (3 times since this was last said)"]
        outlet.send([Message("a", 0)])
        outlet.send([Message("a", 0)])
        assert world.told[2:] == ["sqs: send is answered again"]
        assert outlet.away is None
        outlet.close()

    def test_what_comes_and_goes_is_told_no_more_often(self, world: World) -> None:
        fault = EndpointConnectionError(endpoint_url="http://sqs")
        world.client.faults['{"id":"a","generation":0}'] = [fault, None] * 50
        outlet = self.outlet(world)
        for _ in range(100):
            world.now += 1
            outlet.send([Message("a", 0)])
        assert len(world.told) == 2
        outlet.close()


class TestVisibility:
    def test_those_that_stay_invisible_are_told(self, world: World) -> None:
        receipts = [world.receipt(f"r{n}") for n in range(12)]
        world.client.faults = {"r2": [FAILED], "r5": [STALE], "r11": [NOT_THERE]}
        held = set_visibility(world.calls, receipts, LEASE, 5.0)
        assert held == {receipt for receipt in receipts if receipt.handle not in ("r2", "r5", "r11")}
        assert world.calls.presence.away is None

    def test_nothing_is_extended_beyond_the_cap(self, world: World) -> None:
        young, old = world.receipt("young", LONGEST_S / 2), world.receipt("old", LONGEST_S - LEASE)
        assert set_visibility(world.calls, [young, old], LEASE, 5.0) == {young}
        assert world.client.asked == [(f"change to {LEASE}", ["young"])]

    def test_what_was_received_in_vain_is_given_back(self, world: World) -> None:
        set_visibility(world.calls, [world.receipt("old", LONGEST_S)], 0, 5.0)
        assert world.client.asked == [("change to 0", ["old"])]


class TestSettling:
    def test_what_failed_is_deleted_again_and_what_is_stale_is_not(self, world: World) -> None:
        world.client.faults = {"a": [FAILED, FAILED], "b": [STALE], "c": [NOT_THERE]}
        settling = Settling(world.calls, 1, world.told.append)
        settling.start()
        settling.put(URL, ["a", "b", "c", "d"])
        settling.close(5.0)
        assert [handles for _, handles in world.client.asked] == [["a", "b", "c", "d"], ["a"], ["a"]]
        assert world.told == []

    def test_closing_waits_no_longer_than_it_may(self, world: World) -> None:
        world.client.faults = {"a": [FAILED] * 1000}
        settling = Settling(world.calls, 1, world.told.append)
        settling.start()
        settling.put(URL, ["a"])
        settling.close(0.3)
        assert "1 settled messages could not be deleted" in world.told[0]


class TestInbox:
    def test_no_room_without_demand(self, world: World) -> None:
        assert world.inbox.reserve(0) == 0
        world.inbox.take(25, 0.0)
        world.inbox.put([], world.inbox.reserve(0))
        assert world.inbox.reserve(0) == 10
        world.inbox.put([], 10)
        world.now += DEMAND_S + 0.1
        assert world.inbox.reserve(0) == 0

    def test_room_is_what_is_wanted_and_not_on_its_way(self, world: World) -> None:
        world.inbox.take(25, 0.0)
        assert world.inbox.reserve(0) == 10
        assert world.inbox.reserve(0) == 0, "the first has not shown yet that there is more"
        world.inbox.put([world.arrive("a", 0.0)], 10)
        assert [world.inbox.reserve(0), world.inbox.reserve(0)] == [10, 10]
        assert world.inbox.reserve(0) == 0

    def test_an_empty_receive_leaves_one_at_a_time(self, world: World) -> None:
        world.inbox.take(100, 0.0)
        world.inbox.put([world.arrive("a", 0.0)], world.inbox.reserve(0))
        world.inbox.put([], world.inbox.reserve(0))
        assert [world.inbox.reserve(0), world.inbox.reserve(0)] == [10, 0]

    def test_what_is_stale_is_not_handed_out(self, world: World) -> None:
        fresh, _ = world.arrive("fresh", 1.0), world.arrive("stale", 30.0)
        assert world.inbox.take(10, world.now - 20.0) == [fresh]
        assert len(world.inbox) == 0


class TestTending:
    def tending(self, world: World) -> Tending:
        return Tending(world.calls, Plan(URL, LEASE), world.inbox, None)

    def test_what_waits_stays_ours_though_another_call_hangs(self, world: World) -> None:
        hangs, let_go, kept = threading.Event(), threading.Event(), threading.Event()

        def hang(**asked: Any) -> Any:
            hangs.set()
            let_go.wait(10)
            return {}

        def change(**asked: Any) -> Any:
            kept.set()
            return {"Successful": [{"Id": "0"}]}

        world.client.get_queue_attributes = hang  # type: ignore[attr-defined]
        world.client.change_message_visibility_batch = change  # type: ignore[method-assign]
        tending = Tending(world.calls, Plan(URL, 1), world.inbox, None)
        tending.start()
        assert hangs.wait(5)
        world.inbox.take(0, 0.0)
        world.arrive("old", 0.4)
        assert kept.wait(5)
        let_go.set()
        tending.stop(5.0)

    def test_what_waits_for_a_busy_intake_stays_ours(self, world: World) -> None:
        world.inbox.take(0, 0.0)
        old = world.arrive("old", LEASE / 3)
        world.arrive("young", 1.0)
        self.tending(world).keep_fresh()
        assert world.client.asked == [(f"change to {LEASE}", ["old"])]
        assert old.fresh == world.now

    def test_what_waits_for_one_that_is_stuck_is_let_go(self, world: World) -> None:
        world.inbox.take(0, 0.0)
        world.now += LEASE
        world.arrive("old", LEASE * 0.6)
        self.tending(world).keep_fresh()
        assert world.client.asked == []
        assert len(world.inbox) == 0

    def test_what_was_lost_is_let_go(self, world: World) -> None:
        world.inbox.take(0, 0.0)
        world.client.faults = {"lost": [STALE]}
        world.arrive("lost", LEASE * 0.6)
        self.tending(world).keep_fresh()
        assert len(world.inbox) == 0


@pytest.mark.parametrize(
    ("redrive", "told"),
    [
        (None, "no RedrivePolicy"),
        (Redrive("arn:aws:sqs:eu-west-1:123456789012:jobs-dlq", 19), "maxReceiveCount is 19"),
        (Redrive("arn:aws:sqs:eu-west-1:123456789012:jobs-dlq", 20), None),
    ],
)
def test_what_is_wanted_of_a_policy(redrive: Redrive | None, told: str | None) -> None:
    line = advice(Named("jobs"), redrive, deliveries=5)
    assert (line is None) == (told is None)
    assert (told or "") in (line or "")


def test_a_job_is_named_by_where_its_message_was_sent_to_wherever_it_lies_now() -> None:
    """SQS keeps a message's id when it moves it: a direct producer's job must not be made a second time."""
    received = {"MessageId": "m-1", "Body": '{"model": "sum", "inputs": {}}', "Attributes": {}}
    moved = {**received, "Attributes": {"DeadLetterQueueSourceArn": "arn:aws:sqs:eu-central-1:123456789012:jobs"}}
    first, again = decode(received, "jobs"), decode(moved, "jobs-dlq", given_up=2)
    assert isinstance(first, Direct)
    assert isinstance(again, Direct)
    assert again.origin == first.origin == "sqs:jobs:m-1"
    assert (again.as_it_came.source, again.as_it_came.position) == ("jobs", "m-1")
