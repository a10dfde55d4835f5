"""L4: the five folds of method features, both networks, on the data set (phantoms,
where there is none): how long, and how much of it the backbone takes.

Every fold is a `spinelab train` of its own; they share one cache, so that the
backbone sees each picture once. The backbones' weights are random: time does not
depend on them.
"""

import json
import os
import time

from box import phantoms
from line import XRAYS

FOLDS = 5
SIZE = "256x112"  # the study's


def measure(folder, contestants, say):
    data, result = XRAYS, dict(source="the data set's X-rays", size=SIZE, networks={})
    if not os.path.isdir(data):
        data, result["source"] = os.path.join(folder, "features-data"), "phantoms"
        phantoms(data, "1018x441", 338)
    for net in ("resnet50", "vgg16"):
        backbone, cache, folds = contestants.backbone(net), os.path.join(folder, f"{net}-cache"), []
        for k in range(FOLDS):
            start = time.perf_counter()
            told = json.loads(contestants.call(
                "bin/spinelab", "train", "--data", data, "--net", net, "--method", "features", "--size", SIZE, "--weights", backbone,
                "--cache", cache, "--fold", str(k), "--threads", "2", "--json", "--out", os.path.join(folder, f"{net}-fold{k}")))
            folds.append(dict(seconds=time.perf_counter() - start, backbone=told.get("backbone_seconds", 0.0), head=told["seconds"],
                              judging=told["judging_seconds"], epochs=told["epochs"],
                              held_out=sum(map(sum, told["confusion"]))))
            say(f"  {net}, fold {k}: {folds[-1]['seconds']:.0f} s, of it the backbone {folds[-1]['backbone']:.1f} s")
        result["networks"][net] = folds
        result["pictures"] = sum(fold["held_out"] for fold in folds)  # each of them once
    return result


def markdown(f):
    rows = [f"## The five folds of features, {f['pictures']} pictures at {f['size']}", "",
            f"The pictures are {f['source']}. The backbone computes the features of each picture and of its mirror image once,",
            "for all folds; afterwards each fold's finished model reads every picture again, for its limits and to be judged.", "",
            "| | all, s | backbone, s | share | head, s | of it an epoch, ms | finished model reading, s |",
            "|---|---|---|---|---|---|---|"]
    everything = []
    for net, folds in f["networks"].items():
        everything += folds
        rows.append(row(net, folds))
    return "\n".join(rows + [row("both", everything)]) + "\n"


def row(name, folds):
    total = {k: sum(fold[k] for fold in folds) for k in ("seconds", "backbone", "head", "judging", "epochs")}
    return (f"| {name} | {total['seconds']:.0f} | {total['backbone']:.0f} | {100 * total['backbone'] / total['seconds']:.0f} % | "
            f"{total['head']:.1f} | {1000 * total['head'] / total['epochs']:.1f} | {total['judging']:.0f} |")
