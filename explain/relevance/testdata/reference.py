#!/usr/bin/env python3
"""Writes reference.json: figures of published implementations on made maps.

Run in an environment made from requirements.txt. Otsu's threshold and SSIM are
scikit-image's, average precision is scikit-learn's, rank correlation SciPy's,
the energy-based pointing game Quantus' formula worked by hand in numpy.
"""

import json
import os

import numpy as np
from scipy.stats import spearmanr
from skimage.filters import threshold_otsu
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score


def unit(a):
    return (a - a.min()) / (a.max() - a.min())


def main():
    random = np.random.default_rng(7)
    cases = []
    for height, width in ((16, 8), (24, 24), (32, 13)):
        y, x = np.mgrid[0:height, 0:width]
        bump = np.exp(-(((y - height * 0.6) / 4) ** 2 + ((x - width * 0.4) / 3) ** 2))
        a = (bump + 0.2 * random.random((height, width))).astype(np.float32)
        a[0, :3] = a[1, 1]  # equal values
        b = (bump[::-1] + 0.3 * random.random((height, width))).astype(np.float32)
        region = ((abs(x - width * 0.45) < width * 0.25) & (y > height * 0.3)).astype(np.float32)
        cases.append(dict(
            width=width, height=height, a=a.ravel().tolist(), b=b.ravel().tolist(), region=region.ravel().tolist(),
            otsu=float(threshold_otsu(a)),
            auprc=float(average_precision_score(region.ravel() > 0.5, a.ravel())),
            ssim=float(structural_similarity(unit(a.astype(float)), unit(b.astype(float)), win_size=7, data_range=1.0)),
            spearman=float(spearmanr(a.ravel(), b.ravel()).statistic),
            energy=float((a.astype(float) * region).sum() / a.astype(float).sum())))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference.json"), "w") as f:
        json.dump(cases, f)
        f.write("\n")


if __name__ == "__main__":
    main()
