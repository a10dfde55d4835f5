#!/usr/bin/env python3
"""How much of a run oneDNN's kernels take, and which kernels they are.

    kernels.py MODEL [RUNS]

MODEL is a folder that `bin/bench-worker model --net … --out MODEL` made. Lets
bin/bench-worker read one picture over and over while oneDNN writes down each
primitive (ONEDNN_VERBOSE), and sums each primitive's least time: what is left
of the least run is all that anybody but oneDNN can save.
"""

import collections
import json
import os
import subprocess
import sys

from contestants import ENVIRONMENT


def main():
    model, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60
    out = subprocess.run(["bin/bench-worker", "read", "--model", model], input=f"run {runs}\n", check=True,
                         stdout=subprocess.PIPE, text=True,
                         env={**os.environ, **ENVIRONMENT, "ONEDNN_VERBOSE": "profile_exec"}).stdout
    times = []
    primitives = {}  # kind, implementation, shapes -> ms of every execution
    for line in out.splitlines():
        if line.startswith("{"):
            times += json.loads(line).get("ms", [])
        if not line.startswith("onednn_verbose,primitive,exec"):
            continue
        f = line.split(",")
        primitives.setdefault((f[4], f[5], ",".join(f[6:-1])), []).append(float(f[-1]))
    total = runs + 4  # with the warm-ups: one at loading, three of the worker
    kinds = collections.Counter()
    for (kind, implementation, _), ms in primitives.items():
        each = max(1, round(len(ms) / total))  # how often a run holds it
        kinds[kind, implementation] += each * min(ms)
    for (kind, implementation), ms in kinds.most_common():
        print(f"{ms:8.2f} ms  {kind} by {implementation}")
    print(f"{sum(kinds.values()):8.2f} ms  all kernels, each at its least")
    print(f"{min(times):8.2f} ms  the least run of {len(times)}, heatmap and preparation included")


if __name__ == "__main__":
    sys.exit(main())
