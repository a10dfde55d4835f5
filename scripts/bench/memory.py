"""How much memory the service holds: `spinebox serve` with one ResNet50."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

from contestants import Failure

CONFIG = """\
site: bench
device: bench
key: site.key
data: data
shares:
  - name: scanner
    path: scanner
    mount: false
    scan: 200ms
models:
  path: {model}
  allow_unsigned: true
inference:
  threads: 2
limits:
  max_megapixels: 40
kiosk:
  listen: 127.0.0.1:{port}
"""
SIZES = ("700x260", "1024x512", "2048x1024", "2816x1408")  # the last has 4 megapixels
LARGEST = (8900, 4450)  # height and width: 39.6 megapixels, just under the limit
PATIENCE = 600  # seconds


def measure(folder, model, pictures, python):
    """python has Pillow, to enlarge a phantom beyond what spinelab draws."""
    box = os.path.join(folder, "box")
    scanner = os.path.join(box, "scanner")
    os.makedirs(scanner)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open(os.path.join(box, "spinebox.yml"), "w") as f:
        f.write(CONFIG.format(model=os.path.abspath(model), port=port))
    config = os.path.join(box, "spinebox.yml")
    subprocess.run(["bin/spinebox", "key", "init", "--config", config], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "serve.log"), "w") as log:
        service = subprocess.Popen(["bin/spinebox", "serve", "--config", config], stderr=log)
    try:
        wait(service, port, 0)
        at_rest = resident(service.pid)
        done = 0
        for size in SIZES:
            done += drop(folder, scanner, size, pictures // len(SIZES))
            wait(service, port, done)
        after = resident(service.pid)
        enlarge(python, os.path.join(scanner, SIZES[-1] + "-0.jpg"), os.path.join(scanner, "largest.jpg"))
        wait(service, port, done + 1)
        return dict(pictures=done, sizes=SIZES, at_rest=at_rest, after=after,
                    largest="×".join(map(str, LARGEST)), after_largest=resident(service.pid))
    finally:
        service.terminate()
        service.wait()


def drop(folder, scanner, size, count):
    """Puts phantoms on the share and returns how many."""
    made = os.path.join(folder, "phantoms-" + size)
    subprocess.run(["bin/spinelab", "phantom", "--out", made, "--count", str(count), "--seed", "1", "--size", size],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = sorted(os.path.join(at, f) for at, _, names in os.walk(made) for f in names if f.endswith(".jpg"))
    for i, f in enumerate(files[:count]):
        part = os.path.join(scanner, f".{size}-{i}.part")
        shutil.copy(f, part)
        os.rename(part, os.path.join(scanner, f"{size}-{i}.jpg"))
    shutil.rmtree(made)
    return min(count, len(files))


def enlarge(python, picture, to):
    height, width = LARGEST
    part = os.path.join(os.path.dirname(to), ".largest.part")
    program = ("import sys; from PIL import Image; Image.MAX_IMAGE_PIXELS = None; "
               f"Image.open(sys.argv[1]).resize(({width}, {height})).save(sys.argv[2], 'JPEG')")
    subprocess.run([python, "-c", program, picture, part], check=True)
    os.rename(part, to)


def wait(service, port, done):
    """Until the service is ready and has answered that many pictures."""
    deadline = time.monotonic() + PATIENCE
    status = {}
    while time.monotonic() < deadline:
        if service.poll() is not None:
            raise Failure(f"spinebox serve ended with {service.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=5) as answer:
                status = json.load(answer)
        except OSError:
            pass
        counted = sum(status.get(k, 0) for k in ("classified", "refused", "failed", "duplicates"))
        if status.get("ready") and not status.get("busy") and counted >= done:
            if status["failed"] or status["refused"]:
                raise Failure(f"the service did not classify every phantom: {status}")
            return
        time.sleep(0.2)
    raise Failure(f"the service answered {status} and not {done} pictures in {PATIENCE} s")


def resident(pid):
    """Resident memory and its peak so far, in MB (10^6 bytes)."""
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return {name: int(fields[key].split()[0]) * 1024 / 1e6 for name, key in (("mb", "VmRSS"), ("peak_mb", "VmHWM"))}
