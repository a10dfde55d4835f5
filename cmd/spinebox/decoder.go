package main

import (
	"errors"
	"log/slog"
	"time"

	"spinebox/internal/spine"
	"spinebox/runtime/decode"
)

// decodeLimit is how long one file may be decoded. The largest that the limits
// allow take a few seconds on a small box.
const decodeLimit = 10 * time.Second

// converter is gdcmconv as Debian's libgdcm-tools installs it.
const converter = "/usr/bin/gdcmconv"

// openDecoder starts the process that waits for the first file.
func openDecoder(c *config, log *slog.Logger) (*decode.Decoder, error) {
	o := decode.Options{
		Program: c.Decoder, Converter: converter, Limit: min(decodeLimit, c.Limits.Image), Log: log,
		Pixels: c.Limits.MaxMegapixels * 1_000_000, Memory: int64(c.Limits.DecodeMemory), Bytes: 256 << 20,
	}
	for _, s := range c.Shares {
		o.Bytes = max(o.Bytes, int64(s.MaxSize))
	}
	if o.Program == "" {
		var err error
		if o.Program, err = decode.Beside(); err != nil {
			return nil, err
		}
	}
	d, err := decode.Open(o)
	if errors.Is(err, decode.ErrNoProgram) {
		return nil, withHint(err, "it lies beside spinebox: install the package whole, or run `make build`; the key decoder names another place")
	}
	return d, err
}

// decoderStatus is what `spinebox status` shows of the children.
func decoderStatus(d *decode.Decoder) spine.DecoderStatus {
	confined := d.Confined()
	return spine.DecoderStatus{Landlock: confined.Landlock, Seccomp: confined.Seccomp, Compressed: d.Converts()}
}
