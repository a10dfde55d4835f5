#!/usr/bin/env python3
"""Writes small HDF5 files with h5py: what Keras' legacy layout is made of, and
what is not read. The first one is kept beside this script as legacy.h5, so that
most tests need no Python.

    legacy.py DIR
"""

import os
import sys

import h5py
import numpy as np


def values(*shape):
    return np.arange(np.prod(shape), dtype="<f4").reshape(shape) / 4 - 3


def write(folder, name, fill, **settings):
    with h5py.File(os.path.join(folder, name + ".h5"), "w", **settings) as f:
        fill(f)


def legacy(f):
    """Groups, more members than one node holds, attributes that make the
    header go on elsewhere, contiguous values and chunks."""
    f.attrs["layer_names"] = [b"one", b"two", b"three and more"]  # of any length, from h5py 3 on
    f.attrs["fixed"] = np.array([b"one", b"two", b"three and more"])  # as h5py 2 wrote the list above
    f.attrs["backend"] = b"tensorflow"
    one = f.create_group("one")
    one.attrs["weight_names"] = [b"one/kernel:0", b"one/bias:0"]
    one.create_dataset("one/kernel:0", data=values(3, 2, 4, 5))
    one.create_dataset("one/bias:0", data=values(5))
    two = f.create_group("two")
    two.attrs["weight_names"] = []
    two.attrs["single"] = b"a string"
    two.attrs["words"] = ["Å", "", "of any length"]
    for i in range(12):
        two.attrs[f"filler{i}"] = [b"x" * 30] * 3
    two.create_dataset("chunked", data=values(5, 7), chunks=(2, 3))
    two.create_dataset("rows", data=values(9), chunks=(4,))
    two.create_dataset("box", data=values(3, 4, 5), chunks=(2, 2, 2))
    many = f.create_group("many")
    for i in range(25):
        many.create_dataset(f"member{i:02}", data=values(1) + i)


def refused(f):
    f.create_dataset("gzip", data=values(64, 4), chunks=(8, 4), compression="gzip")
    f.create_dataset("half", data=values(4).astype("<f2"))
    f.create_dataset("double", data=values(4).astype("<f8"))
    f.create_dataset("big endian", data=values(4).astype(">f4"))
    f.create_dataset("integers", data=np.arange(4, dtype="<i4"))
    f.create_dataset("unwritten", shape=(4,), dtype="<f4")
    f.create_dataset("part", shape=(9,), dtype="<f4", chunks=(4,))[:4] = 1
    f.create_dataset("empty", dtype="<f4", data=h5py.Empty("<f4"))
    f.create_dataset("growing", data=values(9), maxshape=(None,), chunks=(4,))
    f["link"] = h5py.SoftLink("/half")
    f.create_group("ordered", track_order=True).create_dataset("x", data=values(1))
    f.attrs["numbers"] = [1.0, 2.0]


def main():
    folder = sys.argv[1]
    write(folder, "legacy", legacy)
    write(folder, "refused", refused)
    write(folder, "latest", legacy, libver="latest")
    write(folder, "block", legacy, userblock_size=512)


if __name__ == "__main__":
    main()
