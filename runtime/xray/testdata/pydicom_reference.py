"""Writes what pydicom makes of every DICOM file in the packages pydicom and
pydicom-data, for TestAgainstPydicom.

    python pydicom_reference.py OUT

OUT gets index.json, a list of

    file      where the file lies in its package
    path      where it lies on this disk
    syntax    its transfer syntax
    lossy     whether it is compressed as JPEG with a cosine transform, whose
              decoders may differ in the last bit
    width, height
    stored    name of a file in OUT: the stored values, little-endian int32,
              row by row (for colours: the luma, as grey)
    grey      name of a file in OUT: the values that xray.Decode promises,
              little-endian float64
    why       instead of the last four: why the file holds no single grey or
              colour picture of 8 to 16 bits, or why pydicom cannot read it

The stored values and the modality and VOI transformations are pydicom's own.
What the standard leaves open follows the comment of greyScale.table: the range
without a window, padding, and the grey of colours.
"""

import json
import logging
import pathlib
import sys
import warnings

import data_store
import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, get_decoder

LOSSY = {pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEGExtended12Bit}


def out_of_scope(ds):
    syntax = ds.file_meta.get("TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    if syntax is None:
        return "no transfer syntax"
    if "PixelData" not in ds:
        return "no pixel data"
    if int(ds.get("NumberOfFrames") or 1) > 1:
        return "several frames"
    if ds.BitsAllocated not in (8, 16) or ds.BitsStored < 8:
        return f"{ds.BitsStored} bits"
    return None


def stored_range(ds):
    if ds.PixelRepresentation:
        return -(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1
    return 0, 2**ds.BitsStored - 1


def grey_of(ds, stored):
    rescaled = apply_modality_lut(stored, ds)
    seen = apply_voi_lut(rescaled, ds).astype(np.float64)
    padding = np.zeros(stored.shape, bool)
    if "PixelPaddingValue" in ds:
        first = ds.PixelPaddingValue
        last = ds.get("PixelPaddingRangeLimit", first)
        padding = (stored >= min(first, last)) & (stored <= max(first, last))
    if ds.get("VOILUTSequence"):
        low, high = 0, 2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "WindowWidth" in ds:
        # apply_windowing spreads over the rescaled stored range
        if ds.get("ModalityLUTSequence"):
            low, high = 0, 2 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
        else:
            ends = np.array(stored_range(ds), np.float64)
            low, high = apply_modality_lut(ends, ds)
    elif ds.BitsStored <= 8:
        low, high = sorted(apply_modality_lut(np.array(stored_range(ds)), ds))
    else:
        low, high = seen[~padding].min(), seen[~padding].max()
    grey = np.clip((seen - low) / (high - low), 0, 1)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    grey[padding] = 0
    return grey


def luma_of(pixels, colours, bits):
    if colours == "RGB":
        luma = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    else:
        luma = pixels[..., 0].astype(np.float64)
    return luma / (2**bits - 1)


def palette_in_order(ds):
    # apply_color_lut reads a palette in this machine's order, whatever the file's.
    if ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRBigEndian:
        for colour in ("Red", "Green", "Blue"):
            data = ds[f"{colour}PaletteColorLookupTableData"]
            data.value = np.frombuffer(data.value, "<u2").byteswap().tobytes()
    return ds


def reference(path, out, number, r):
    ds = pydicom.dcmread(path, force=True)
    if hasattr(ds, "file_meta") and "TransferSyntaxUID" in ds.file_meta:
        r["syntax"] = ds.file_meta.TransferSyntaxUID.name
    if why := out_of_scope(ds):
        r["why"] = why
        return
    syntax = ds.file_meta.TransferSyntaxUID
    r["lossy"] = syntax in LOSSY
    pixels, meta = get_decoder(syntax).as_array(ds, raw=True)
    colours = meta["photometric_interpretation"]
    height, width = pixels.shape[:2]
    if colours == "PALETTE COLOR":
        bits = ds.RedPaletteColorLookupTableDescriptor[2]
        grey = luma_of(apply_color_lut(pixels, palette_in_order(ds)), "RGB", bits)
    elif ds.SamplesPerPixel == 1:
        stored, grey = pixels, grey_of(ds, pixels)
        stored.astype("<i4").tofile(out / f"{number}.stored")
        r["stored"] = f"{number}.stored"
    else:
        grey = luma_of(pixels, colours, ds.BitsStored)
    grey.astype("<f8").tofile(out / f"{number}.grey")
    r |= {"width": width, "height": height, "grey": f"{number}.grey"}


def main():
    out = pathlib.Path(sys.argv[1])
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    packages = {
        "pydicom": pathlib.Path(pydicom.__file__).parent / "data",
        "pydicom-data": pathlib.Path(data_store.__file__).parent / "data",
    }
    index = []
    for package, root in packages.items():
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path.suffix in (".py", ".pyc", ".json", ".md"):
                continue
            entry = {"syntax": "", "file": f"{package}/{path.relative_to(root)}", "path": str(path)}
            try:
                reference(path, out, len(index), entry)
            except Exception as e:  # whatever pydicom throws is its answer
                entry["why"] = f"pydicom: {type(e).__name__}: {e}"
            index.append(entry)
    (out / "index.json").write_text(json.dumps(index, indent=1))


main()
