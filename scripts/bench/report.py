"""Turns what drive.py measured into a page, and compares it with the musts."""

import statistics

import drain
import features

# Who must be how much faster than whom: (must, network, ours, rival, limit).
# A limit is of our time divided by theirs.
TIMES = (
    ("S1", "resnet50", "spinebox", "spinebox, classification alone", 1.05),
    ("S1", "vgg16", "spinebox", "spinebox, classification alone", 1.05),
    ("S2", "resnet50", "spinebox", "pytorch-grad-cam", 1 / 4),
    ("S2", "vgg16", "spinebox", "pytorch-grad-cam", 1 / 3.5),
    ("S2", "resnet50", "spinebox", "eager Keras", 1 / 10),
    ("S2", "vgg16", "spinebox", "eager Keras", 1 / 4),
    ("S2", "resnet50", "spinebox", "Keras under tf.function", 1 / 1.2),
    ("S2", "vgg16", "spinebox", "Keras under tf.function", 1.0),
    ("S2", "resnet50", "spinebox", "pytorch-grad-cam, frozen", None),
    ("S2", "vgg16", "spinebox", "pytorch-grad-cam, frozen", None),
    ("S3", "resnet50", "spinebox", "ONNX Runtime", 1.4),
    ("S3", "resnet50", "spinebox", "OpenVINO", 1.55),
    ("S3", "vgg16", "spinebox", "ONNX Runtime", 1.15),
    ("S3", "vgg16", "spinebox", "OpenVINO", 1.15),
    ("S6", "training", "spinelab", "Keras fit", 1.0),
    ("S6", "training", "spinelab", "PyTorch", None),
    ("L4", "finetune", "spinelab", "Keras fit", 1.0),
    ("L4, goal", "finetune", "spinelab", "Keras fit", 1 / 1.2),
)
# The figure that decides; elsewhere both the medians and the minima must hold.
DECIDES = {"S1": ("minimum",)}
STARTUP_LIMIT = 1000  # ms, S5
MEMORY_LIMIT = 450  # MB, S4
BATCH = 16
LINE_SHARE = {"jpeg": 0.65, "dicom": 0.40}  # of the bare session's rate, B8
LINE_WAIT = {"median": 300, "p99": 1000}  # ms beyond the settle time, B9

TITLES = {
    "resnet50": "ResNet50, 224×224, one picture",
    "vgg16": "VGG16, 224×224, one picture",
    "training": "Training ResNet50, 224×224, batches of 16",
    "finetune": "Fine-tuning ResNet50, 224×224, batches of 16, batch normalisation held",
    "startup": "From process start to the first answer, ResNet50, files in the page cache",
}


def summary(entry):
    flat = [ms for turn in entry["ms"] for ms in turn]
    return dict(median=statistics.median(flat), minimum=min(flat), count=len(flat), peak=entry.get("peak_mb"))


def markdown(result):
    groups = {g: {e["name"]: summary(e) for e in entries} for g, entries in result["groups"].items()}
    parts = [head(result), musts(groups, result)]
    parts += [table(g, result["groups"][g], groups[g]) for g in groups]
    if "features" in result:
        parts.append(features.markdown(result["features"]))
    if "memory" in result:
        parts.append(memory(result["memory"]))
    if "line" in result:
        parts.append(line(result["line"]))
    if "drain" in result:
        parts.append(drain.markdown(result["drain"]))
    return "\n".join(parts)


def head(result):
    m = result["machine"]
    busy = ""
    if result["busy_before"] > 0.03 or result["stolen"] > 0.01:
        busy = (f"\n**The machine was not quiet ({100 * result['busy_before']:.0f} % busy before, "
                f"{100 * result['stolen']:.1f} % of the time stolen): trust no figure.**\n")
    return f"""# Benchmarks

Measured on {result['date']} with Spinebox {result['spinebox']} by

    {result['command']}

on {m['cpu']} ({', '.join(m['isa'])}), CPUs {', '.join(map(str, m['used']))} of {m['cores']}, {m['system']},
Python {m['python']}, {result['rounds']} interleaved rounds. Written by the script; every single time is in
[benchmarks.json](benchmarks.json), and [scripts/bench](../scripts/bench/README.md) says how it is measured.
{busy}"""


def musts(groups, result):
    rows = ["## The musts", "", "Our time divided by theirs, so less is better for us.", "",
            "| | | ours / theirs | ratio of medians | ratio of minima | must | |", "|---|---|---|---|---|---|---|"]
    for must, group, ours, rival, limit in TIMES:
        if group not in groups:
            continue
        a, b = groups[group][ours], groups[group][rival]
        ratios = {k: a[k] / b[k] for k in ("median", "minimum")}
        verdict = "" if limit is None else met(all(ratios[k] <= limit for k in DECIDES.get(must, ratios)))
        rows.append(f"| {must} | {group} | {ours} / {rival} | {ratios['median']:.3f} | {ratios['minimum']:.3f} | "
                    f"{'' if limit is None else f'≤ {limit:.3g}'} | {verdict} |")
    if "finetune" in groups:
        a, b = (groups["finetune"][name]["peak"] for name in ("spinelab", "Keras fit"))
        rows.append(f"| L4 | finetune | peak memory, spinelab / Keras fit, MB | {a:.0f} / {b:.0f} | | ≤ 1 | {met(a <= b)} |")
    if "memory" in result:
        mb = result["memory"]["after"]["mb"]
        rows.append(f"| S4 | resnet50 | resident, MB | {mb:.0f} | | ≤ {MEMORY_LIMIT} | {met(mb <= MEMORY_LIMIT)} |")
    if "startup" in groups:
        s = groups["startup"]["spinebox classify"]
        rows.append(f"| S5 | resnet50 | start-up, ms | {s['median']:.0f} | {s['minimum']:.0f} | "
                    f"≤ {STARTUP_LIMIT} | {met(s['median'] <= STARTUP_LIMIT)} |")
    if "line" in result:
        rows += line_musts(result["line"])
    if "drain" in result:
        rows += [f"| B10 | | {what} | {measured} | | {must} | {met(yes)} |" for what, must, measured, yes in drain.musts(result["drain"])]
    return "\n".join(rows) + "\n\nS1 is decided by the minima, S4 and S5 by the figure itself (S5's by its median), the others by\nmedians and minima both.\n"


def met(yes):
    return "met" if yes else "**missed**"


def table(group, entries, numbers):
    rate = group in ("training", "finetune")
    rows = [f"## {TITLES[group]}", "",
            f"| | median, ms | minimum, ms |{' pictures/s, by the median | peak, MB |' if rate else ''} times | settings | versions |",
            f"|---|---|---|{'---|---|' if rate else ''}---|---|---|"]
    for e in entries:
        n = numbers[e["name"]]
        versions = ", ".join(f"{k} {v}" for k, v in e["versions"].items())
        per_second = f" {BATCH * 1000 / n['median']:.2f} | {n['peak']:.0f} |" if rate else ""
        rows.append(f"| {e['name']} | {n['median']:.1f} | {n['minimum']:.1f} |{per_second} {n['count']} | {e['settings']} | {versions} |")
    return "\n".join(rows) + "\n"


def memory(m):
    return f"""## Memory of `spinebox serve`, ResNet50

| | resident, MB | peak so far, MB |
|---|---|---|
| ready, nothing read yet | {m['at_rest']['mb']:.0f} | {m['at_rest']['peak_mb']:.0f} |
| after {m['pictures']} phantoms as JPEG, {', '.join(m['sizes'])} | {m['after']['mb']:.0f} | {m['after']['peak_mb']:.0f} |
| after one more, {m['largest']} | {m['after_largest']['mb']:.0f} | {m['after_largest']['peak_mb']:.0f} |

MB are 10⁶ bytes; sizes are height × width in pixels.
"""


def line_musts(m):
    rows = []
    for kind, must in LINE_SHARE.items():
        share = m[kind]["share"]
        rows.append(f"| B8 | resnet50 | {kind.upper()}s at once / bare session, pictures per second | {share:.3f} | | "
                    f"≥ {must:.2f} | {met(share >= must)} |")
    for figure, must in LINE_WAIT.items():
        wait = m["alone"][figure] - m["alone"]["settle"]
        rows.append(f"| B9 | resnet50 | file complete to hub, beyond the settle time, {figure}, ms | {wait:.0f} | | "
                    f"≤ {must} | {met(wait <= must)} |")
    return rows


def line(m):
    rows = ["## The whole line, ResNet50: from the share to the hub", "",
            f"JPEGs are {m['source']}; DICOMs are 16-bit phantoms of 3000×1500. A real broker (mosquitto) and a hub",
            "that commits each result to disk run on the same two CPUs.", "",
            "| | files | MB | pictures/s | bare session, pictures/s | share | parts, mean ms |", "|---|---|---|---|---|---|---|"]
    for kind in LINE_SHARE:
        k = m[kind]
        parts = ", ".join(f"{name.removesuffix('_ms')} {ms:.1f}" for name, ms in k["parts"].items())
        rows.append(f"| {kind.upper()}s at once | {k['files']} | {k['megabytes']:.0f} | {k['per_second']:.1f} | "
                    f"{k['session_per_second']:.1f} | {k['share']:.3f} | {parts} |")
    a = m["alone"]
    rows += ["", f"One by one, {a['files']} files: complete to the hub's receipt {a['median']:.0f} ms (median), {a['p99']:.0f} ms (p99),",
             f"of which the settle time is at least {a['settle']} ms (two scans must see the file alike)."]
    return "\n".join(rows) + "\n"
