"""The network of version 1 in PyTorch; its weights come from model.safetensors."""

from itertools import pairwise

import torch
from torch import nn

SIZES = (64, 64, 32, 10)


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(SIZES))

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """pixels: (batch, 64), 0 to 16. probabilities: (batch, 10)."""
        x = pixels / 16
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return {"probabilities": torch.softmax(self.layers[-1](x), dim=1)}


def load() -> nn.Module:
    return Digits()
