"""What only the model can tell about its input. Shared by every lane."""

import numpy as np

BRIGHTEST = 16


def preprocess(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Refuses what is no picture of a digit: such an input is dead-lettered with the message."""
    pixels = inputs["pixels"]
    if pixels.min() < 0 or pixels.max() > BRIGHTEST:
        place = int(np.argmax((pixels < 0) | (pixels > BRIGHTEST)))
        raise ValueError(f"pixels[{place}]: {pixels[place]:g} is no grey value, expected 0 to {BRIGHTEST}")
    if not pixels.any():
        raise ValueError("pixels: all 0, nothing is drawn")
    return inputs
