"""A box for a benchmark: `spinebox serve`, and on demand a hub behind a broker."""

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
    scan: {scan}ms
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
PATIENCE = 600  # seconds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, condition, seconds=PATIENCE):
    """Waits for the condition and returns what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise Failure(f"{what}: not within {seconds} s")


class Box:
    """As a context: the service runs inside, with an empty share and ledger."""

    def __init__(self, folder, model, hub=False, scan=200):
        self.folder, self.hub = folder, hub
        self.scanner = os.path.join(folder, "scanner")
        self.port = free_port()
        os.makedirs(self.scanner)
        config = CONFIG.format(model=os.path.abspath(model), port=self.port, scan=scan)
        if hub:
            self.broker = free_port()
            config += f"broker:\n  url: tcp://127.0.0.1:{self.broker}\n"
        self.config = os.path.join(folder, "spinebox.yml")
        with open(self.config, "w") as f:
            f.write(config)
        subprocess.run(["bin/spinebox", "key", "init", "--config", self.config], check=True, stdout=subprocess.DEVNULL)
        self.processes = []
        self.entries, self.taken = [], 0  # of the hub's file

    def __enter__(self):
        try:
            if self.hub:
                self.start("mosquitto", "-p", str(self.broker))
                until("mosquitto", self.listening)
                self.start("bin/spinehub", "serve", "--broker", f"tcp://127.0.0.1:{self.broker}",
                           "--store", os.path.join(self.folder, "store"))
            self.service = self.start("bin/spinebox", "serve", "--config", self.config)
            self.wait(0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, *command):
        name = os.path.basename(command[0])
        with open(os.path.join(self.folder, name + ".log"), "w") as log:
            try:
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            except FileNotFoundError as e:
                raise Failure(f"{name} is missing\nhint: on Debian, apt-get install {name}") from e
        return self.processes[-1]

    def listening(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.broker)) == 0

    def __exit__(self, *_):
        for p in reversed(self.processes):
            p.terminate()
            p.wait()

    def status(self):
        if self.service.poll() is not None:
            raise Failure(f"spinebox serve ended with {self.service.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/status", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def wait(self, done):
        """Until the service is ready, at rest, and has answered that many pictures."""
        def settled():
            status = self.status()
            counted = sum(status.get(k, 0) for k in ("classified", "refused", "failed", "duplicates"))
            if not (status.get("ready") and not status.get("busy") and counted >= done):
                return False
            if status["failed"] or status["refused"]:
                raise Failure(f"the service did not classify every picture: {status}")
            return True
        until(f"{done} pictures answered", settled)

    def results(self):
        """The hub's results so far, each with when it was received.

        Only what is new is read: whoever asks fifty times a second for all of
        it takes the processor from what is measured.
        """
        try:
            with open(os.path.join(self.folder, "store", "results.jsonl"), "rb") as f:
                f.seek(self.taken)
                for line in f:
                    if line.endswith(b"\n"):
                        self.entries.append(json.loads(line))
                        self.taken += len(line)
        except FileNotFoundError:
            pass
        return self.entries

    def put(self, source, name):
        """Lays a copy of the file on the share, whole from its first moment."""
        part = os.path.join(self.scanner, f".{name}.part")
        shutil.copyfile(source, part)
        os.rename(part, os.path.join(self.scanner, name))


def phantoms(folder, size, count, kind="jpeg"):
    """Draws phantoms and returns their files."""
    subprocess.run(["bin/spinelab", "phantom", "--out", folder, "--count", str(count), "--seed", "1", "--size", size,
                    "--format", kind], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return pictures(folder)[:count]


def pictures(folder):
    return sorted(os.path.join(at, f) for at, _, names in os.walk(folder) for f in names
                  if f.endswith((".jpg", ".jpeg", ".dcm")))
