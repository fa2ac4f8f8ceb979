"""What the parts of this kit have in common: scikit-learn's digits, shared out, and a small model.

A model is two arrays as Flower has them: weights (64, 10) and biases (10).
"""

import io
import os
import sys
import threading
from urllib.request import Request, urlopen

import numpy as np
from sklearn.datasets import load_digits

CLIENTS = 10
CLASSES = 10
EVALUATORS = 3
CLEAN = 300
TEST = 400
# Of a local training: passes over the client's images, images of one step, length of a step.
PASSES = 10
BATCH = 16
STEP = 0.5
# A poisoned update points from the common model to a wrong one, and beyond.
BOOST = 3.0

Model = list[np.ndarray]


def end_with_parent() -> None:
    """Ends this process when its standard input ends, as it does when whoever started it is gone."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class Digits:
    """Images of the clients, of the clean set that evaluators share, and of the test."""

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(1).permutation(len(labels))
        images, labels = images[order] / 16.0, labels[order]
        self.test = images[:TEST], labels[:TEST]
        parts = np.array_split(np.arange(TEST, TEST + CLEAN), EVALUATORS)
        self.of_evaluators = [(images[part], labels[part]) for part in parts]
        rest = np.arange(TEST + CLEAN, len(labels))
        self.of_clients = [(images[part], labels[part]) for part in np.array_split(rest, CLIENTS)]


def empty_model() -> Model:
    return [np.zeros((64, CLASSES)), np.zeros(CLASSES)]


def accuracy(model: Model, images: np.ndarray, labels: np.ndarray) -> float:
    weights, biases = model
    return float(np.mean(np.argmax(images @ weights + biases, axis=1) == labels))


def trained(model: Model, images: np.ndarray, labels: np.ndarray, seed: int) -> Model:
    """Softmax regression by stochastic gradient descent, from `model` on."""
    weights, biases = model[0].copy(), model[1].copy()
    random = np.random.default_rng(seed)
    for _ in range(PASSES):
        for batch in np.array_split(random.permutation(len(labels)), len(labels) // BATCH):
            scores = images[batch] @ weights + biases
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            shares[np.arange(len(batch)), labels[batch]] -= 1
            weights -= STEP * images[batch].T @ shares / len(batch)
            biases -= STEP * shares.mean(axis=0)
    return [weights, biases]


def update(model: Model, digits: Digits, client: int, seed: int, poisons: bool) -> Model:
    """What a client sends: the model after its training; or, poisoned, after training on wrong labels."""
    images, labels = digits.of_clients[client]
    if not poisons:
        return trained(model, images, labels, seed)
    wrong = trained(model, images, CLASSES - 1 - labels, seed)
    return [before + BOOST * (after - before) for before, after in zip(model, wrong)]


def packed(model: Model) -> bytes:
    file = io.BytesIO()
    np.savez(file, weights=model[0], biases=model[1])
    return file.getvalue()


def unpacked(content: bytes) -> Model:
    """Raises ValueError for what is no model. Nothing in it is ever executed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        model = [arrays["weights"], arrays["biases"]]
    for array, expected in zip(model, empty_model()):
        if array.shape != expected.shape or not np.isfinite(array).all():
            raise ValueError("no model of this kit")
    return model


def call(url: str, content: bytes | None, seconds: float) -> bytes:
    with urlopen(Request(url, data=content), timeout=seconds) as response:
        return response.read()
