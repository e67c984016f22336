"""Ray Data: read_parquet → map_batches → write_parquet, an actor holding the model."""

import os

import numpy as np
import onnxruntime as ort
import ray

COLUMNS = [f"f{place}" for place in range(16)]


class Scorer:
    def __init__(self, model: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        features = np.stack([batch[name] for name in COLUMNS], axis=1)
        (scores,) = self.session.run(["score"], {"features": features})
        return {"id": batch["id"], "score": scores}


if __name__ == "__main__":
    ray.init(
        num_cpus=int(os.environ["PEER_CORES"]), include_dashboard=False, logging_level="ERROR", log_to_driver=False
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.read_parquet(os.environ["PEER_INPUT"], columns=["id", *COLUMNS])
    scored = rows.map_batches(
        Scorer,
        fn_constructor_args=(os.environ["PEER_MODEL"],),
        batch_size=int(os.environ["PEER_BATCH"]),
        batch_format="numpy",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(size=int(os.environ["PEER_ACTORS"])),
    )
    scored.write_parquet(os.environ["PEER_OUTPUT"])
