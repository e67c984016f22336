"""The peer's worker: one task, the same model file, one thread of ONNX Runtime, as Forebay's worker runs it."""

import os
from functools import cache
from typing import Any

import numpy as np
import onnxruntime as ort
from celery import Celery

REDIS = os.environ["PEER_REDIS"]
MODEL = os.environ["PEER_MODEL"]

app = Celery("peer", broker=REDIS, backend=REDIS)


@cache
def session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


@app.task
def predict(pixels: list[float]) -> dict[str, Any]:
    batch = np.array([pixels], dtype=np.float32)
    if not np.isfinite(batch).all() or batch.min() < 0 or batch.max() > 16:
        raise ValueError("pixels: expected 64 grey values from 0 to 16")
    (probabilities,) = session().run(["probabilities"], {"pixels": batch})
    return {"probabilities": probabilities[0].tolist()}
