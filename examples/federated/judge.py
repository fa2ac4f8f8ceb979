"""Evaluates the last update of each client on the clean set and leaves the result for
`meshnet evaluator --score-from json:RESULTS/{node}.json`.

    python judge.py DROP RESULTS
"""

import json
import sys
import time
from pathlib import Path

from learning import CLEAN, Digits, accuracy, end_with_parent, unpacked

drop, results = Path(sys.argv[1]), Path(sys.argv[2])
end_with_parent()
clean = Digits().clean
seen: dict[str, int] = {}
while True:
    for file in drop.glob("*.npz"):
        changed = file.stat().st_mtime_ns
        if seen.get(file.stem) == changed:
            continue
        seen[file.stem] = changed
        try:
            score = accuracy(unpacked(file.read_bytes()), *clean)
        except ValueError:
            score = 0.0
        result = {"score": score, "samples": CLEAN, "observed_at": changed // 1_000_000}
        fresh = results / f"{file.stem}.new"
        fresh.write_text(json.dumps(result))
        fresh.rename(results / f"{file.stem}.json")
    time.sleep(0.1)
