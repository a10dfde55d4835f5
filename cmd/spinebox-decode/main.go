// Command spinebox-decode reads one picture for spinebox and ends: the confined
// process in which a stranger's file is decoded. It is never linked with
// TensorFlow, whose library takes 0.2 s to load. See runtime/decode.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"spinebox/runtime/confine"
	"spinebox/runtime/decode"
	"spinebox/runtime/xray"
)

func main() {
	settings, err := decode.ParseSettings(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	decoder := xray.Decoder{Limits: xray.Limits{Bytes: settings.Bytes, Pixels: settings.Pixels, Memory: settings.Limits.Memory}}
	var rights confine.Rights
	converter := decode.Converter{Program: settings.Converter, Memory: settings.Limits.Memory}
	if converter.There() {
		decoder.Convert, rights = converter.Convert, converter.Rights()
	}
	child := decode.Child{
		Converter: decoder.Convert != nil,
		Decode: func(r io.ReaderAt, size int64) (*decode.Coded, error) {
			g, err := decoder.Decode(r, size)
			return (*decode.Coded)(g), err
		},
	}
	if err := child.Serve(settings, rights); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", decode.Program, err)
		os.Exit(1)
	}
}
