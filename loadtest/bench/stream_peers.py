"""Quix Streams and Faust, each from an environment of its own (loadtest/peers/quix, loadtest/peers/faust)."""

from pathlib import Path

from loadtest.bench.peer import Peer

QUIX = Peer("quix", "Quix Streams", (), ("quixstreams", "confluent-kafka", "onnxruntime"))
FAUST = Peer(
    "faust",
    "Faust",
    ("worker", "--loglevel", "ERROR"),
    ("faust-streaming", "aiokafka", "mode-streaming", "onnxruntime"),
)


def environment(
    bootstrap: str, topics: tuple[str, str], group: str, model: Path, interval: float, guarantee: str, data: Path
) -> dict[str, str]:
    """What both read. `topics`: input and output. `guarantee`: Faust's name of it."""
    return {
        "PEER_KAFKA": bootstrap,
        "PEER_INPUT": topics[0],
        "PEER_OUTPUT": topics[1],
        "PEER_GROUP": group,
        "PEER_MODEL": str(model),
        "PEER_INTERVAL_S": str(interval),
        "PEER_GUARANTEE": guarantee,
        "PEER_DATA": str(data),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
