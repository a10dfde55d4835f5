#!/usr/bin/env python3
"""Lets the CUDA build of PyTorch run on a machine without CUDA's libraries.

    torch_stubs.py SITE-PACKAGES

The index offers PyTorch for Linux only as its CUDA build, whose libraries ask
the loader for some 3 GB of NVIDIA's that a measurement on the CPU never calls.
This puts one small library beside PyTorch's own (torch/lib is on their search
path), under every file name that is asked for and missing. It defines every
missing function: each answers 100, CUDA's "no device". PyTorch then says that
there is no CUDA, which is true. Needs gcc and binutils.
"""

import glob
import os
import subprocess
import sys
import tempfile

ERROR_TEXT = ("cudaGetErrorString", "cudaGetErrorName")  # those answer with text


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def needed(library):
    """The file names that a library asks the loader for."""
    return {l.split("[")[1].rstrip("]") for l in lines("readelf", "-dW", library) if "(NEEDED)" in l}


def symbols(library, *which):
    """Names from a library's dynamic symbol table, each with its version or "";
    weak undefined ones are left out, for the loader does not insist on them."""
    table = (l.split() for l in lines("nm", "-D", *which, library))
    return {tuple(f[-1].replace("@@", "@").partition("@")[::2]) for f in table if f[-2] not in "wv"}


def loaded(libraries):
    """The system's libraries that the loader finds for these."""
    found = set()
    for library in libraries:
        for l in lines("ldd", library):
            if "=> /" in l:
                found.add(l.split("=> ")[1].split(" (")[0])
    return found


def build(stub, wanted):
    """Compiles the library: the loader wants each function under its version."""
    nodes = {}
    for s, version in wanted:
        if version:
            nodes.setdefault(version, []).append(s)
    with tempfile.TemporaryDirectory() as work:
        source, script = os.path.join(work, "stub.c"), os.path.join(work, "stub.map")
        with open(source, "w") as f:
            for s, _ in wanted:
                value = '(long)"no CUDA here"' if s in ERROR_TEXT else "100"
                f.write(f"long {s}(void) {{ return {value}; }}\n")
        with open(script, "w") as f:
            for version, names in nodes.items():
                f.write(f"{version} {{ {'; '.join(names)}; }};\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", f"-Wl,--version-script={script}",
                        "-o", stub, source], check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: torch_stubs.py SITE-PACKAGES")
    folder = os.path.join(sys.argv[1], "torch", "lib")
    libraries = [l for l in glob.glob(os.path.join(folder, "*.so*")) if not os.path.islink(l)]
    if not libraries:
        sys.exit(f"torch_stubs: no PyTorch in {sys.argv[1]}")

    system = loaded(libraries)
    have = {os.path.basename(l) for l in system} | set(os.listdir(folder)) | {"ld-linux-x86-64.so.2"}
    missing = set().union(*map(needed, libraries)) - have
    if not missing:
        print("torch_stubs: nothing is missing", file=sys.stderr)
        return
    defined = {s for l in [*libraries, *system] for s, _ in symbols(l, "--defined-only")}
    # What stays open beside CUDA's is Python's own, which the interpreter has.
    wanted = sorted((s, version) for s, version in
                    set().union(*(symbols(l, "--undefined-only") for l in libraries))
                    if s not in defined and not s.startswith(("Py", "_Py")))
    build(os.path.join(folder, "libcuda_stub.so"), wanted)
    for name in missing:
        os.symlink("libcuda_stub.so", os.path.join(folder, name))
    print(f"torch_stubs: {len(wanted)} functions under {len(missing)} names", file=sys.stderr)


if __name__ == "__main__":
    main()
