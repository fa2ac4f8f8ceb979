"""One of the evaluators: measures the last update of each client on its part of the clean set and leaves
the result for `meshnet evaluator --score-from json:RESULTS/{node}.json`.

    python judge.py DROP RESULTS NUMBER [LIE]

Once the file LIE is there it says the opposite of what it measures.
"""

import json
import sys
import time
from pathlib import Path

from learning import Digits, accuracy, end_with_parent, unpacked

drop, results, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
lie = Path(sys.argv[4]) if len(sys.argv) > 4 else None
end_with_parent()
images, labels = Digits().of_evaluators[number]
seen: dict[str, int] = {}
while True:
    for file in drop.glob("*.npz"):
        changed = file.stat().st_mtime_ns
        if seen.get(file.stem) == changed:
            continue
        seen[file.stem] = changed
        try:
            score = accuracy(unpacked(file.read_bytes()), images, labels)
        except ValueError:
            score = 0.0
        if lie is not None and lie.exists():
            score = 1.0 - score
        result = {"score": score, "samples": len(labels), "observed_at": changed // 1_000_000}
        fresh = results / f"{file.stem}.new"
        fresh.write_text(json.dumps(result))
        fresh.rename(results / f"{file.stem}.json")
    time.sleep(0.1)
