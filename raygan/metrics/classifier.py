"""The MNIST classifier, and the scores that it gives: MNIST score, entropy, total variation,
stacked modes.

Its weights are an artefact of their own (fp16, < 200 KB), made by `python -m
raygan.metrics.train_classifier`; the hash of the file is part of every score's protocol.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from raygan.metrics.modes import kl_to_uniform

ARTEFACTS = Path(__file__).parent / "artefacts"
Probabilities = npt.NDArray[np.float64]


class DigitNet(nn.Module):
    """Images (N, 1, 28, 28) in [-1, 1] -> logits (N, 10); `features` gives the 48 numbers before
    the last layer.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        # small, so that its weights can lie in the package
        for a, b, stride in ((1, 16, 1), (16, 16, 2), (16, 32, 1), (32, 32, 2), (32, 64, 2)):
            layers += [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 48), nn.ReLU())
        self.head = nn.Linear(48, 10)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer of images (N, 1, 28, 28): (N, 48)."""
        out: Tensor = self.body(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images (N, 1, 28, 28): (N, 10)."""
        out: Tensor = self.head(self.body(x))
        return out


def artefact(name: str) -> Path:
    """Where the classifier's weights lie."""
    return ARTEFACTS / f"cnn-{name}.safetensors"


@cache
def load_classifier(name: str) -> tuple[DigitNet, str, float]:
    """(network in eval mode, hash of its file, its accuracy on the test set)."""
    path = artefact(name)
    network = DigitNet()
    network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    )
    with safe_open(path, "pt") as file:
        accuracy = float(file.metadata()["accuracy"])
    return network.eval(), hashlib.sha256(path.read_bytes()).hexdigest()[:8], accuracy


def probabilities(network: DigitNet, images: Tensor, batch: int = 500) -> Probabilities:
    """p(y | x), (N, 10)."""
    with torch.no_grad():
        out = [
            network(images[i : i + batch]).double().softmax(1) for i in range(0, len(images), batch)
        ]
    return np.asarray(torch.cat(out).numpy())


def class_scores(p: Probabilities) -> dict[str, float]:
    """score, entropy, tv and confidence from p(y | x), (N, classes).

    score = exp E KL(p(y|x) || p(y)), p(y) the empirical marginal; at most the number of classes
    (Salimans et al., 2016). score_uniform: the same against the uniform prior; the two differ
    where the marginal is not uniform. entropy of the histogram of the most likely labels, in nats
    (at most 2.3026 for 10). tv = half the L1 distance of it to uniform.
    """
    marginal = p.mean(0)
    # float32's softmax gives exact zeros
    log_p = np.log(np.maximum(p, 1e-12))
    labels = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    seen = labels[labels > 0]
    return {
        "score": float(np.exp((p * (log_p - np.log(np.maximum(marginal, 1e-12)))).sum(1).mean())),
        "score_uniform": float(np.exp((p * (log_p + np.log(p.shape[1]))).sum(1).mean())),
        "entropy": float(abs((seen * np.log(seen)).sum())),  # abs: a single class has 0, not -0
        "tv": float(0.5 * np.abs(labels - 1 / p.shape[1]).sum()),
        "confidence": float(p.max(1).mean()),
    }


def stacked_scores(p: npt.NDArray[np.float64]) -> dict[str, float]:
    """modes, modes@0.9, reverse_kl and confidence from the three channels' p(y | x), (N, 3, 10).

    A mode is a triple of digits; modes@0.9 counts only samples whose three confidences are all
    above 0.9. reverse_kl against uniform over 1,000 triples, in nats; 26,000 uniform triples give
    0.0192.
    """
    digits, confidence = p.argmax(2), p.max(2)
    # a mode's number is its three digits, 000 to 999
    triples = digits[:, 0] * 100 + digits[:, 1] * 10 + digits[:, 2]
    counts = np.bincount(triples, minlength=1000)
    return {
        "modes": float((counts > 0).sum()),
        "modes@0.9": float(len(np.unique(triples[(confidence > 0.9).all(1)]))),
        "reverse_kl": kl_to_uniform(counts),
        "confidence": float(confidence.mean()),
    }
