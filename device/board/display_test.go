package board

import (
	"errors"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"
)

// begun is what an SSD1306 is told first: the recommended flow of its data
// sheet (page 64) with the settings of a module with 128×64 pixels.
func begun(address uint16, rotated bool) i2ctest.IO {
	segments, rows := byte(0xa1), byte(0xc8)
	if rotated {
		segments, rows = 0xa0, 0xc0
	}
	return i2ctest.IO{Addr: address, W: []byte{0x00, 0xae, 0xd3, 0x00, 0x40, segments, rows, 0xda, 0x12, 0x81, 0xff, 0xa4, 0xa6,
		0xd5, 0xf0, 0x8d, 0x14, 0xd9, 0xf1, 0xdb, 0x40, 0x2e, 0xa8, 63, 0x20, 0x00, 0x21, 0, 127, 0x22, 0, 7, 0xaf}}
}

// pages are the messages that send a whole frame: eight bands of eight rows,
// each byte one column of a band, the top row in the lowest bit.
func pages(address uint16, bands [8][128]byte) (ops []i2ctest.IO) {
	for n, band := range bands {
		ops = append(ops, i2ctest.IO{Addr: address, W: []byte{0x00, 0xb0 | byte(n), 0x00, 0x10}},
			i2ctest.IO{Addr: address, W: append([]byte{0x40}, band[:]...)})
	}
	return ops
}

func off(address uint16) i2ctest.IO { return i2ctest.IO{Addr: address, W: []byte{0x00, 0xae}} }

func frame(lit ...image.Point) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, 128, 64))
	for _, p := range lit {
		img.SetGray(p.X, p.Y, color.Gray{Y: 255})
	}
	return img
}

// displayOn makes a display whose bus is opened by open.
func displayOn(t *testing.T, s Screen, open func(int) (i2c.BusCloser, error)) *Display {
	t.Helper()
	d, err := NewDisplay(s)
	if err != nil {
		t.Fatal(err)
	}
	d.open = open
	return d
}

func TestDisplayShowsFramesAndOnlyWhatChanged(t *testing.T) {
	for _, s := range []Screen{{Bus: 7, Address: 0x3c}, {Bus: 1, Address: 0x3d, Rotated: true}} {
		first, address := [8][128]byte{}, uint16(s.Address)
		first[0][0], first[7][127] = 0x01, 0x80
		bus := &i2ctest.Playback{DontPanic: true, Ops: slices.Concat(
			[]i2ctest.IO{begun(address, s.Rotated)}, pages(address, first),
			[]i2ctest.IO{
				{Addr: address, W: []byte{0x00, 0xb2, 0x04, 0x11}}, // band 2, column 20
				{Addr: address, W: []byte{0x40, 0x10}},
				off(address),
			})}
		d := displayOn(t, s, func(number int) (i2c.BusCloser, error) {
			if number != s.Bus {
				t.Errorf("bus %d was opened, want %d", number, s.Bus)
			}
			return bus, nil
		})
		corner := []image.Point{{0, 0}, {127, 63}}
		for _, f := range []*image.Gray{frame(corner...), frame(corner...), frame(append(corner, image.Pt(20, 20))...)} {
			if err := d.Show(f); err != nil {
				t.Error(err)
			}
		}
		if err := d.Halt(); err != nil {
			t.Error(err)
		}
		if err := bus.Close(); err != nil { // missing operations
			t.Error(err)
		}
	}
}

var errGone = errors.New("sysfs-i2c: remote I/O error")

// loose is a bus whose cable comes off after some messages.
type loose struct {
	*i2ctest.Playback
	left int
}

func (l *loose) Tx(address uint16, w, r []byte) error {
	if l.left--; l.left < 0 {
		return errGone
	}
	return l.Playback.Tx(address, w, r)
}

// Whatever goes wrong on the way, the display that is there again is set up
// anew and gets the whole frame: it may have lost its power.
func TestDisplayThatComesBackIsDrawnAnew(t *testing.T) {
	const address = 0x3c
	bands := [8][128]byte{}
	bands[0][5] = 0x01
	whole := append([]i2ctest.IO{begun(address, false)}, pages(address, bands)...)

	var opened int
	var buses []*i2ctest.Playback
	open := func(int) (i2c.BusCloser, error) {
		opened++
		switch opened {
		case 1: // no such bus
			return nil, errors.New("sysfs-i2c: bus #7 is not configured")
		case 2: // a bus with nothing on it
			return &loose{Playback: &i2ctest.Playback{DontPanic: true}}, nil
		case 3: // the cable comes off in the middle of the frame
			buses = append(buses, &i2ctest.Playback{DontPanic: true, Ops: whole[:6]})
			return &loose{buses[0], 6}, nil
		}
		buses = append(buses, &i2ctest.Playback{DontPanic: true, Ops: append(slices.Clone(whole), off(address))})
		return buses[len(buses)-1], nil
	}
	d := displayOn(t, Screen{Bus: 7, Address: address}, open)
	f := frame(image.Pt(5, 0))
	for _, want := range []string{"open bus 7: sysfs-i2c: bus #7", "no display answers on bus 7 at 0x3c", "display on bus 7 at 0x3c: " + errGone.Error()} {
		if err := d.Show(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("show: %v, want %q", err, want)
		}
	}
	for range 2 {
		if err := d.Show(f); err != nil {
			t.Error(err)
		}
	}
	if err := d.Halt(); err != nil {
		t.Error(err)
	}
	for _, bus := range buses {
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	}
	if opened != 4 || len(buses) != 2 {
		t.Errorf("the bus was opened %d times", opened)
	}
}

func TestDisplaysThatCannotBe(t *testing.T) {
	for want, s := range map[string]Screen{
		"a number from 0, not -1":       {Bus: -1, Address: 0x3c},
		"address 0x3c or 0x3d, not 0x0": {Bus: 1},
	} {
		if _, err := NewDisplay(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	// A machine without this bus says so, by the real opener.
	d, err := NewDisplay(Screen{Bus: 999, Address: 0x3c})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Show(frame()); err == nil || !strings.Contains(err.Error(), "open bus 999") {
		t.Errorf("bus 999: %v", err)
	}
}
