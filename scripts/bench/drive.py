#!/usr/bin/env python3
"""Measures Spinebox beside its rivals, in turns, and writes docs/benchmarks.

    drive.py [--only PART,…] [--rounds N] [--seconds S] [--out DIR] [--anyway]

Parts: network (classification and heatmaps, the two networks), training (from
random weights), finetune, features (a study's folds of that method), startup, memory, line (files on the share to results at the hub), drain (what
waits to the hub); all by default. Needs bin/ (make build) with bin/bench-worker
and bin/bench-drain beside the programs. README.md says how it measures. Writes benchmarks.json
with every single time, and benchmarks.md, into DIR (docs by default).
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import drain
import features
import line
import memory
import report
from contestants import Contestants, Failure

PAUSE = 0.3  # seconds before a turn: the last one's threads still spin a little
PARTS = ("network", "training", "finetune", "features", "startup", "memory", "line", "drain")


def take_turns(workers, rounds, seconds):
    """Lets the workers run in turns; returns each one's milliseconds.

    Every round begins with another worker. The first step of a turn finds the
    caches full of somebody else's data and is not counted, for all alike.
    """
    counts = {}
    for w in workers:
        slowest = max(w.run(2))
        counts[w.name] = max(2, min(20, int(seconds * 1e3 / slowest)))
    times = {w.name: [] for w in workers}
    for r in range(rounds):
        for w in workers[r % len(workers):] + workers[:r % len(workers)]:
            time.sleep(PAUSE)
            times[w.name].append(w.run(counts[w.name] + 1)[1:])
        say(f"  round {r + 1} of {rounds}")
    return times


def measure(workers, rounds, seconds):
    """Starts the workers one by one, measures, and ends them."""
    started = []
    try:
        for w in workers:
            say(f"  starting {w.name}")
            w.start()
            started.append(w)
        times = take_turns(started, rounds, seconds)
        return [dict(name=w.name, versions=w.versions, settings=w.settings, ms=times[w.name], peak_mb=w.peak())
                for w in started]
    finally:
        for w in started:
            w.end()


def startups(programs, rounds):
    """From process start to the first line of output, in turns; the first
    round only brings the files into the page cache."""
    times = {p.name: [] for p in programs}
    for r in range(rounds + 1):
        for p in programs:
            time.sleep(PAUSE)
            ms = p.launch()
            if r > 0:
                times[p.name].append([ms])
        say(f"  round {r} of {rounds}")
    return [dict(name=p.name, versions={}, settings=p.settings, ms=times[p.name]) for p in programs]


def bare(contestants):
    """The median milliseconds of a reading in the session alone."""
    worker = contestants.ours("resnet50")
    worker.start()
    try:
        return statistics.median(worker.run(60)[10:])
    finally:
        worker.end()


def jiffies():
    with open("/proc/stat") as f:
        fields = [int(n) for n in f.readline().split()[1:9]]
    return dict(all=sum(fields), idle=fields[3] + fields[4], stolen=fields[7])


def busy(seconds):
    """The share of all CPUs' time that was not idle, 0 to 1."""
    before = jiffies()
    time.sleep(seconds)
    after = jiffies()
    return 1 - (after["idle"] - before["idle"]) / max(after["all"] - before["all"], 1)


def wait_for_quiet(anyway):
    """Other work on the machine spoils every figure."""
    for _ in range(12):
        share = busy(5)
        if share < 0.03:
            return share
        say(f"waiting for the machine to be idle: {100 * share:.0f} % busy")
        if anyway:
            return share
    raise Failure("the machine is busy, and the figures would be worthless\n"
                  "hint: end what runs beside this, or say --anyway and trust nothing")


def machine():
    cpu = {}
    with open("/proc/cpuinfo") as f:
        for line in f:
            key, _, value = line.partition(":")
            cpu.setdefault(key.strip(), value.strip())
    flags = cpu.get("flags", "").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    return dict(cpu=cpu.get("model name", platform.machine()), cores=os.cpu_count(), used=sorted(os.sched_getaffinity(0)),
                isa=[f for f in wanted if f in flags], system=platform.freedesktop_os_release().get("PRETTY_NAME", ""),
                python=platform.python_version())


def version():
    answer = subprocess.run(["git", "describe", "--tags", "--always", "--dirty"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(args, folder):
    result = dict(date=datetime.date.today().isoformat(), command=" ".join(["scripts/bench/drive.py", *sys.argv[1:]]),
                  spinebox=version(), machine=machine(), busy_before=wait_for_quiet(args.anyway),
                  rounds=args.rounds, groups={})
    before = jiffies()
    c = Contestants(folder, say)
    if "network" in args.only:
        for net in ("resnet50", "vgg16"):
            say(f"{net}: classification and heatmaps")
            result["groups"][net] = measure(c.network(net), args.rounds, args.seconds)
    if "training" in args.only:
        say("training")
        result["groups"]["training"] = measure(c.training(), args.rounds, 3 * args.seconds)
    if "finetune" in args.only:
        say("fine-tuning")
        result["groups"]["finetune"] = measure(c.finetuning(), args.rounds, 3 * args.seconds)
    if "features" in args.only:
        say("the folds of features")
        result["features"] = features.measure(folder, c, say)
    if "startup" in args.only:
        say("start-up")
        result["groups"]["startup"] = startups(c.startup(), args.rounds)
    if "memory" in args.only:
        say("memory")
        result["memory"] = memory.measure(folder, c.model("resnet50"), args.pictures, c.python("onnx"))
    if "line" in args.only:
        say("the whole line")
        result["line"] = line.measure(folder, c.model("resnet50"), lambda: bare(c), say)
    if "drain" in args.only:
        say("what waits drains to the hub")
        result["drain"] = drain.measure(folder, say)
    after = jiffies()
    result["stolen"] = (after["stolen"] - before["stolen"]) / (after["all"] - before["all"])
    return result


def main():
    parser = argparse.ArgumentParser(description="measure Spinebox beside its rivals")
    parser.add_argument("--only", type=lambda s: s.split(","), default=PARTS, help="parts: " + ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn, about")
    parser.add_argument("--pictures", type=int, default=100, help="for the memory part")
    parser.add_argument("--out", default="docs")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args()
    for part in args.only:
        if part not in PARTS:
            parser.error(f"no part {part!r}: there are {', '.join(PARTS)}")
    # Two CPUs for everybody, and the driver's children inherit them.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    with tempfile.TemporaryDirectory(prefix="spinebox-bench") as folder:
        result = run(args, folder)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "benchmarks.json"), "w") as f:
        json.dump(result, f)
        f.write("\n")
    with open(os.path.join(args.out, "benchmarks.md"), "w") as f:
        f.write(report.markdown(result))
    say(f"wrote {args.out}/benchmarks.md")


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        sys.exit(f"bench: {e}")
