"""The aggregator: has the model, takes updates through the mesh, and tells each round's accuracies.

    python server.py ADDRESS PORT ROUNDS SECONDS POISONED_FROM POISONERS GO

The first POISONERS clients poison. The first round ends SECONDS after the file GO is there.

Beside the governed mesh it computes what the same clients would have made of an open mesh, and of one
that is open but aggregates robustly, by Flower's own strategies, and of one that believes the lying
evaluator alone: then only those who poison are left.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flwr.server.strategy.aggregate import aggregate, aggregate_krum, aggregate_median
from learning import CLIENTS, Digits, Model, accuracy, empty_model, end_with_parent, packed, unpacked, update

address, port, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seconds, poisoned_from, poisoners = float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
LARGEST = 100_000


def average(updates: list[tuple[Model, int]]) -> Model:
    return aggregate(updates)


def krum(updates: list[tuple[Model, int]]) -> Model:
    return aggregate_krum(updates, poisoners, 0)


class Mesh:
    """The model that really goes round, and what came for the round under way."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.round = 0
        self.model = empty_model()
        self.came: dict[str, Model] = {}

    def close_round(self) -> list[str]:
        with self.lock:
            names = sorted(self.came)
            if names:
                self.model = average([(self.came[name], 1) for name in names])
            self.came = {}
            self.round += 1
            return names


mesh = Mesh()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the model, and which round it is for
        with mesh.lock:
            content, number = packed(mesh.model), mesh.round
        self.send_response(200)
        self.send_header("x-round", str(number))
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:  # /ROUND/CLIENT
        _, number, name = self.path.split("/")
        content = self.rfile.read(min(LARGEST, int(self.headers["content-length"])))
        try:
            model = unpacked(content)
        except ValueError:
            self.send_error(400)
            return
        with mesh.lock:
            if int(number) == mesh.round:
                mesh.came[name] = model
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


end_with_parent()
server = ThreadingHTTPServer((address, port), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"listening": True}), flush=True)
while not Path(sys.argv[7]).exists():
    time.sleep(0.1)

digits = Digits()
others = {"open": average, "median": aggregate_median, "krum": krum, "liar": average}
models = {name: empty_model() for name in others}
for number in range(rounds):
    started = time.monotonic()
    for name, combine in others.items():
        poison = [one < poisoners and number >= poisoned_from for one in range(CLIENTS)]
        updates = [
            update(models[name], digits, one, 1000 * number + one, poison[one]) for one in range(CLIENTS)
        ]
        if name == "liar" and number >= poisoned_from:
            updates = updates[:poisoners]
        models[name] = combine([(one, 1) for one in updates])
    time.sleep(max(0.0, seconds - (time.monotonic() - started)))
    came = mesh.close_round()
    found = {name: accuracy(model, *digits.test) for name, model in models.items()}
    found["governed"] = accuracy(mesh.model, *digits.test)
    print(json.dumps({"round": number, "came": came, "accuracy": found}), flush=True)
