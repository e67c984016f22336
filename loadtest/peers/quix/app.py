"""Quix Streams, exactly once: the model is called per record, as its users write it."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from quixstreams import Application

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])


def predict(record: dict[str, Any]) -> dict[str, list[float]]:
    (scores,) = session.run(["score"], {"features": np.array([record["features"]], dtype=np.float32)})
    return {"score": scores[0].tolist()}


app = Application(
    broker_address=os.environ["PEER_KAFKA"],
    consumer_group=os.environ["PEER_GROUP"],
    processing_guarantee="exactly-once",
    commit_interval=float(os.environ["PEER_INTERVAL_S"]),
    auto_offset_reset="earliest",
    auto_create_topics=False,
    loglevel="WARNING",
)
given = app.topic(os.environ["PEER_INPUT"], key_deserializer="bytes", value_deserializer="json")
taken = app.topic(os.environ["PEER_OUTPUT"], key_serializer="bytes", value_serializer="json")
app.dataframe(given).apply(predict).to_topic(taken)

if __name__ == "__main__":
    app.run()
