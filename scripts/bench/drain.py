"""B10: how fast 100,000 waiting results drain to a local hub, and whether the
box's memory stays flat meanwhile.

A real mosquitto, the real spinehub with its store on the disk, and the box's
ledger and uplink (bench-drain). Flat means: what the process held in the last
quarter is at most a tenth more than in the second, by the medians. (Not by single
moments: a compaction takes tens of MB for a second or two, and the ledger gives
pages of its files back in steps of 32 MB. The peak is told beside it.)
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import time

from contestants import Failure

ENTRIES = 100_000
FLAT = 1.10
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def measure(folder, say, entries=ENTRIES):
    tool = os.path.abspath("bin/bench-drain")
    ledger = os.path.join(folder, "drain-ledger")
    # Filled in memory, where a sync costs nothing, and then brought to the disk.
    with_memory = os.path.join("/dev/shm", os.path.basename(folder) + "-ledger")
    try:
        say(f"  {entries} results begin to wait")
        call([tool, "fill", with_memory, str(entries)])
        shutil.copytree(with_memory, ledger)
    finally:
        shutil.rmtree(with_memory, ignore_errors=True)
    os.sync()
    port = free_port()
    config = os.path.join(folder, "drain-mosquitto.conf")
    with open(config, "w") as f:
        f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n")
    url = f"tcp://127.0.0.1:{port}"
    store = os.path.join(folder, "drain-hub")
    broker = subprocess.Popen([MOSQUITTO, "-c", config])
    hub = None
    try:
        wait_for(port)
        hub = subprocess.Popen(["bin/spinehub", "serve", "--broker", url, "--store", store],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)  # it subscribes
        say("  they drain")
        result = json.loads(call([tool, "send", ledger, url]))
    finally:
        for process in filter(None, (hub, broker)):
            process.terminate()
            process.wait()
    with open(os.path.join(store, "results.jsonl")) as f:
        result["stored"] = sum(1 for _ in f)
    if result["stored"] != entries:
        raise Failure(f"the hub has {result['stored']} results of {entries}")
    at = {m["percent"]: m for m in result["memory"]}
    result["per_second"] = entries / result["seconds"]
    for kind in ("rss", "anon"):
        result[f"{kind}_growth"] = middle(result, kind, 75, 100) / middle(result, kind, 25, 50)
        result[f"{kind}_peak"] = max(m[kind] for m in result["memory"])
    result["flat"] = result["rss_growth"] <= FLAT
    say(f"  {result['per_second']:.0f} a second; ready after {result['ready_ms']:.0f} ms; RSS at 0, 25, 50, 75, 100 %: "
        + ", ".join(f"{at[p]['rss']:.0f} MB ({at[p]['anon']:.0f} its own)" for p in (0, 25, 50, 75, 100)))
    return result


def middle(result, kind, first, last):
    return statistics.median(m[kind] for m in result["memory"] if first <= m["percent"] <= last)


def call(command):
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise Failure(f"{' '.join(command)} ended with {run.returncode}")
    return run.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failure("mosquitto does not take connections")


def musts(d):
    """Rows of the benchmarks' first table: what, must, measured, whether met."""
    return [("Results that drain to a local hub with receipts, a second", "1,000 (goal 2,000)", f"{d['per_second']:,.0f}", d["per_second"] >= 1000),
            ("Memory in the last quarter of the drain, of that in the second, medians", "at most 110 %", f"{100 * d['rss_growth']:.0f} %", d["flat"]),
            (f"Ready with {d['entries']:,} results waiting", "10 s", f"{d['ready_ms'] / 1000:.2f} s", d["ready_ms"] <= 10_000)]


def markdown(d):
    lines = [f"## {d['entries']:,} results drain to the hub", "",
             f"In {d['seconds']:.0f} s, {d['per_second']:,.0f} a second, each taken out on the hub's receipt; the hub stored {d['stored']:,}.", "",
             "| of the results | memory | of it its own |", "|---|---|---|"]
    lines += [f"| at most | {d['rss_peak']:.0f} MB | {d['anon_peak']:.0f} MB |"]
    lines += [f"| {m['percent']} % | {m['rss']:.0f} MB | {m['anon']:.0f} MB |" for m in d["memory"] if m["percent"] % 25 == 0]
    return "\n".join(lines) + "\n"
