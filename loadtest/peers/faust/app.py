"""Faust (faust-streaming): the model is called per record, as its users write it."""

import os

import faust
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])


class Features(faust.Record, serializer="json"):
    features: list[float]


class Score(faust.Record, serializer="json", include_metadata=False):
    score: list[float]


app = faust.App(
    os.environ["PEER_GROUP"],
    broker=f"kafka://{os.environ['PEER_KAFKA']}",
    processing_guarantee=os.environ["PEER_GUARANTEE"],
    broker_commit_interval=float(os.environ["PEER_INTERVAL_S"]),
    consumer_auto_offset_reset="earliest",
    key_serializer="raw",
    topic_disable_leader=True,
    web_enabled=False,
    datadir=os.environ["PEER_DATA"],
)
given = app.topic(os.environ["PEER_INPUT"], key_type=bytes, value_type=Features)
taken = app.topic(os.environ["PEER_OUTPUT"], key_type=bytes, value_type=Score)


@app.agent(given)
async def score(records: faust.Stream[Features]) -> None:
    async for event in records.events():
        features = np.array([event.value.features], dtype=np.float32)
        (scores,) = session.run(["score"], {"features": features})
        answer = Score(score=scores[0].tolist())
        await taken.send(key=event.key, value=answer, timestamp=event.message.timestamp, headers=event.headers)


if __name__ == "__main__":
    app.main()
