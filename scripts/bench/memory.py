"""How much memory the service holds: `spinebox serve` with one ResNet50."""

import os
import subprocess

from box import Box, phantoms

SIZES = ("700x260", "1024x512", "2048x1024", "2816x1408")  # the last has 4 megapixels
LARGEST = (8900, 4450)  # height and width: 39.6 megapixels, just under the limit


def measure(folder, model, pictures, python):
    """python has Pillow, to enlarge a phantom beyond what spinelab draws."""
    with Box(os.path.join(folder, "memory"), model) as box:
        at_rest = resident(box.service.pid)
        done = 0
        for size in SIZES:
            files = phantoms(os.path.join(folder, "phantoms-" + size), size, pictures // len(SIZES))
            for f in files:
                done += 1
                box.put(f, f"{done}.jpg")
            box.wait(done)
        after = resident(box.service.pid)
        enlarge(python, files[0], os.path.join(box.folder, "largest.jpg"))
        box.put(os.path.join(box.folder, "largest.jpg"), "largest.jpg")
        box.wait(done + 1)
        return dict(pictures=done, sizes=SIZES, at_rest=at_rest, after=after,
                    largest="×".join(map(str, LARGEST)), after_largest=resident(box.service.pid))


def enlarge(python, picture, to):
    height, width = LARGEST
    program = ("import sys; from PIL import Image; Image.MAX_IMAGE_PIXELS = None; "
               f"Image.open(sys.argv[1]).resize(({width}, {height})).save(sys.argv[2], 'JPEG')")
    subprocess.run([python, "-c", program, picture, to], check=True)


def resident(pid):
    """Resident memory and its peak so far, in MB (10^6 bytes)."""
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return {name: int(fields[key].split()[0]) * 1024 / 1e6 for name, key in (("mb", "VmRSS"), ("peak_mb", "VmHWM"))}
