"""The side of a worker that speaks with drive.py; README.md has the protocol."""

import json
import os
import sys
import time

THREADS = 2  # what every contestant gets


def serve(step, versions, settings):
    """Warms up, says that it is ready, then runs as often as it is told to.

    step() is one inference or one training step, complete when it returns. A
    contestant that cannot be called step by step gives a function of a count
    that returns the milliseconds of each: many(n) -> [ms, …].
    """
    many = step if isinstance(step, Many) else Many(timed(step))
    many.run(3)
    print(json.dumps(dict(ready=True, pid=os.getpid(), versions=versions, settings=settings)), flush=True)
    for line in sys.stdin:
        command, count = line.split()
        if command != "run":
            sys.exit(f"worker: unknown command {command!r}")
        print(json.dumps(dict(ms=many.run(int(count)))), flush=True)


def load(picture):
    """A picture file as a preprocessed float32 [224,224,3], for the start-up."""
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        rgb = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR), np.float32)
    return rgb[..., ::-1] - np.float32([103.939, 116.779, 123.68])


class Many:
    """Marks a function of a count."""

    def __init__(self, run):
        self.run = run


def timed(step):
    def run(count):
        ms = []
        for _ in range(count):
            start = time.perf_counter()
            step()
            ms.append((time.perf_counter() - start) * 1e3)
        return ms
    return run
