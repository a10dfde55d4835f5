"""Who is measured: our workers and the rivals', and how each is started."""

import json
import os
import subprocess
import time

HERE = "scripts/bench"
ENVIRONMENT = {
    # Two threads for everybody; the scripts set their own libraries' numbers.
    "OMP_NUM_THREADS": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class Failure(Exception):
    """Something that the person who measures has to see to."""


class Worker:
    """A process that waits for its turns; README.md has the protocol."""

    def __init__(self, name, command, folder):
        self.name, self.command = name, command
        self.log = os.path.join(folder, name.replace(" ", "-").replace(",", "") + ".log")

    def start(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env={**os.environ, **ENVIRONMENT})
        ready = self.read()
        self.versions, self.settings = ready["versions"], ready["settings"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            with open(self.log) as log:
                last = "".join(log.readlines()[-5:])
            raise Failure(f"{self.name} ended with {self.process.returncode}:\n{last}")
        return json.loads(line)

    def run(self, count):
        """Returns the milliseconds of that many steps."""
        self.process.stdin.write(f"run {count}\n")
        self.process.stdin.flush()
        return self.read()["ms"]

    def peak(self):
        """The most memory that it has held, in MB."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024 / 1e6

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Startup:
    """A program that prints an answer and ends."""

    def __init__(self, name, command, settings):
        self.name, self.command, self.settings = name, command, settings

    def launch(self):
        """Milliseconds from the process' start to its first line of output."""
        start = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env={**os.environ, **ENVIRONMENT})
        line = process.stdout.readline()
        ms = (time.perf_counter() - start) * 1e3
        process.stdout.read()
        if process.wait() != 0 or not line:
            raise Failure(f"{self.name} ended with {process.returncode}: {' '.join(self.command)}")
        return ms


class Contestants:
    """Makes environments and models as they are needed."""

    def __init__(self, folder, say):
        self.folder, self.say, self.pythons = folder, say, {}
        for program in ("spinebox", "spinebox-decode", "spinehub", "spinelab", "bench-worker"):
            if not os.path.exists(f"bin/{program}"):
                raise Failure(f"bin/{program} is missing\nhint: make bench builds it")

    def python(self, environment):
        if environment not in self.pythons:
            answer = self.call(f"{HERE}/environment", environment)
            self.pythons[environment] = answer.strip().splitlines()[-1] + "/bin/python"
        return self.pythons[environment]

    def call(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **ENVIRONMENT})
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def rival(self, environment, script, *arguments):
        return [self.python(environment), f"{HERE}/rival_{script}.py", *arguments]

    def made(self, name, make):
        """A file or folder beneath our own, made on first use."""
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            self.say(f"  making {name}")
            make(path)
        return path

    def model(self, net, *plain):
        return self.made(f"{net}{''.join(plain)}", lambda path: self.call(
            "bin/bench-worker", "model", "--net", net, *plain, "--out", path))

    def onnx(self, net):
        return self.made(f"{net}.onnx", lambda path: self.call(
            *self.rival("torch", "torch", "export", net, self.folder)))

    def keras(self, net):
        return self.made(f"{net}.keras", lambda path: self.call(*self.rival("keras", "keras", "export", net, path)))

    def picture(self):
        def make(path):
            self.call("bin/spinelab", "phantom", "--out", path, "--count", "3", "--seed", "1", "--size", "1024x512")
        folder = self.made("picture", make)
        return next(os.path.join(at, f) for at, _, files in sorted(os.walk(folder))
                    for f in sorted(files) if f.endswith(".jpg"))

    def ours(self, net):
        return Worker("spinebox", ["bin/bench-worker", "read", "--model", self.model(net)], self.folder)

    def network(self, net):
        def worker(name, command):
            return Worker(name, command, self.folder)
        return [
            self.ours(net),
            worker("spinebox, classification alone", ["bin/bench-worker", "read", "--model", self.model(net, "--plain")]),
            worker("ONNX Runtime", self.rival("onnx", "onnxruntime", "classify", self.onnx(net))),
            worker("OpenVINO", self.rival("onnx", "openvino", "classify", self.onnx(net))),
            worker("Keras under tf.function", self.rival("keras", "keras", "function", net)),
            worker("eager Keras", self.rival("keras", "keras", "eager", net)),
            worker("pytorch-grad-cam", self.rival("torch", "torch", "gradcam", net)),
            worker("pytorch-grad-cam, frozen", self.rival("torch", "torch", "frozen", net)),
        ]

    def training(self):
        return [
            Worker("spinelab", ["bin/bench-worker", "train", "--net", "resnet50"], self.folder),
            Worker("Keras fit", self.rival("keras", "keras", "fit", "resnet50"), self.folder),
            Worker("PyTorch", self.rival("torch", "torch", "train", "resnet50"), self.folder),
        ]

    def finetuning(self):
        return [
            Worker("spinelab", ["bin/bench-worker", "train", "--net", "resnet50", "--method", "finetune"], self.folder),
            Worker("Keras fit", self.rival("keras", "keras", "finetune", "resnet50"), self.folder),
        ]

    def backbone(self, net):
        return self.made(f"{net}.safetensors", lambda path: self.call(
            "bin/bench-worker", "backbone", "--net", net, "--out", path))

    def startup(self):
        net, picture = "resnet50", self.picture()
        onnx = self.onnx(net)
        return [
            Startup("spinebox classify", ["bin/spinebox", "classify", "--model", self.model(net), "--json", picture],
                    "model folder checked by SHA-256, JPEG decoded, heatmap"),
            Startup("ONNX Runtime", self.rival("onnx", "onnxruntime", "startup", onnx, picture), "ONNX model, classification"),
            Startup("PyTorch", self.rival("torch", "torch", "startup", onnx.replace(".onnx", ".pt"), picture),
                    "frozen TorchScript, classification"),
            Startup("Keras", self.rival("keras", "keras", "startup", self.keras(net), picture),
                    ".keras file, classification"),
        ]
