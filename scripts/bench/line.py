"""How fast the whole line is: files on the share to results at the hub.

B8: many files at once, pictures per second beside the bare session's and beside
the ceiling that the parts leave. B9: one file after the other, from complete to
the hub.
"""

import datetime
import os
import random
import statistics
import time

from box import Box, phantoms, pictures, until

XRAYS = os.environ.get("XRAYS", "../shared/xrays")
JPEGS = 200
DICOMS = 40
DICOM_SIZE = "3000x1500"  # height × width, 16 bits: 9 MB a file
ALONE = 60
SCAN = 200  # ms from one scan of the share to the next


def measure(folder, model, bare, say):
    """bare gives the milliseconds of a reading in the session alone, measured
    by a worker just before and after each run."""
    real = pictures(XRAYS)
    jpegs = real or phantoms(os.path.join(folder, "line-jpeg"), "1018x441", JPEGS)
    random.Random(1).shuffle(jpegs)
    result = dict(source="the data set's X-rays" if real else "phantoms of the data set's median size", scan=SCAN)
    say("  JPEGs at once")
    result["jpeg"] = at_once(os.path.join(folder, "box-jpeg"), model, jpegs[:JPEGS], bare)
    say("  DICOMs at once")
    dicoms = phantoms(os.path.join(folder, "line-dicom"), DICOM_SIZE, DICOMS, "dicom")
    result["dicom"] = at_once(os.path.join(folder, "box-dicom"), model, dicoms, bare)
    say("  one by one")
    result["alone"] = one_by_one(os.path.join(folder, "box-alone"), model, jpegs[-ALONE:])
    return result


def at_once(folder, model, files, bare):
    before = bare()
    with Box(folder, model, hub=True, scan=SCAN) as box:
        for i, f in enumerate(files):
            box.put(f, f"{i}{os.path.splitext(f)[1]}")
        entries = until("all results", lambda: len(r := box.results()) >= len(files) and r)
    after = bare()
    finished = sorted(moment(e["message"]["finished"]) for e in entries)
    timings = [e["message"]["timings"] for e in entries]
    alone = min(before, after)
    # The first result has waited for all that comes before it: the rate is of
    # the others.
    rate = (len(finished) - 1) / (finished[-1] - finished[0])
    return dict(files=len(files), megabytes=sum(os.path.getsize(f) for f in files) / 1e6, per_second=rate,
                session_per_second=1000 / alone, share=rate * alone / 1000, parts=parts(timings))


def parts(timings):
    """Mean milliseconds of each part as the results tell them."""
    return {k: statistics.mean(t[k] for t in timings if k in t) for k in sorted({k for t in timings for k in t})}


def one_by_one(folder, model, files):
    waits = []
    with Box(folder, model, hub=True, scan=SCAN) as box:
        for i, f in enumerate(files):
            time.sleep(random.Random(i).uniform(0, SCAN / 1000))  # at any moment between two scans
            box.put(f, f"{i}.jpg")
            put = time.time()
            entries = until("a result", lambda: len(r := box.results()) > i and r)
            waits.append((moment(entries[i]["received"]) - put) * 1000)
    # A file has settled when two scans saw it alike: one pause between them at
    # the least, and as much again until the first one at the most.
    return dict(files=len(waits), median=statistics.median(waits), p99=quantile(waits, 0.99), settle=SCAN)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, round(q * (len(values) - 1)))]


def moment(text):
    return datetime.datetime.fromisoformat(text).timestamp()
