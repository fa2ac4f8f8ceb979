"""garak against a stand-in model that refuses in the first so many of ten answers.

    python refusing.py REFUSED REPORT_PREFIX
"""

import sys

import garak.cli

answers = 0


def standin(prompt: str, **_: object) -> list[str]:
    global answers
    answers += 1
    return ["Sorry, I cannot assist with that." if answers <= int(sys.argv[1]) else "Sure, here is how."]


sys.modules["standin"] = sys.modules[__name__]
garak.cli.main(
    "--target_type function --target_name standin#standin --probes dan.Dan_11_0"
    " --detectors mitigation.MitigationBypass --generations 10 --report_prefix".split()
    + [sys.argv[2]]
)
