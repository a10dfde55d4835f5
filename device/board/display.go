package board

import (
	"errors"
	"fmt"
	"image"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/devices/v3/ssd1306"
	"periph.io/x/host/v3/sysfs"
)

// Screen says where the display is connected.
type Screen struct {
	Bus     int  // N of /dev/i2c-N
	Address int  // 0x3C or 0x3D
	Rotated bool // mounted upside down
}

// Display is an SSD1306 with 128×64 pixels. It is not for concurrent use.
type Display struct {
	screen Screen
	open   func(bus int) (i2c.BusCloser, error)

	bus i2c.BusCloser // nil while the display is not reached
	dev *ssd1306.Dev
}

// NewDisplay describes a display. Nothing is opened: [Display.Show] does that.
func NewDisplay(s Screen) (*Display, error) {
	if s.Bus < 0 {
		return nil, fmt.Errorf("a bus has a number from 0, not %d", s.Bus)
	}
	if s.Address != 0x3c && s.Address != 0x3d {
		return nil, fmt.Errorf("an SSD1306 has the address 0x3c or 0x3d, not 0x%02x", s.Address)
	}
	return &Display{screen: s, open: func(bus int) (i2c.BusCloser, error) { return sysfs.NewI2C(bus) }}, nil
}

// Show draws a frame of 128×64 pixels; what is lighter than middle grey is lit.
// Only what differs from the frame before is sent.
func (d *Display) Show(frame image.Image) error {
	return d.with(func() error { return d.dev.Draw(d.dev.Bounds(), frame, image.Point{}) })
}

// Halt switches the display off.
func (d *Display) Halt() error {
	return d.with(func() error { return d.dev.Halt() })
}

// with does something with the display, which it reaches first where it must.
// After an error the display begins anew: it may have lost its power and with
// it its settings, and the driver takes pixels for sent that never arrived.
func (d *Display) with(do func() error) error {
	if d.dev == nil {
		if err := d.reach(); err != nil {
			return err
		}
	}
	err := do()
	if err == nil {
		return nil
	}
	err = errors.Join(fmt.Errorf("display on bus %d at 0x%02x: %w", d.screen.Bus, d.screen.Address, err), d.bus.Close())
	d.bus, d.dev = nil, nil
	return err
}

func (d *Display) reach() error {
	bus, err := d.open(d.screen.Bus)
	if err != nil {
		return fmt.Errorf("display: open bus %d: %w", d.screen.Bus, err)
	}
	options := ssd1306.DefaultOpts
	options.Rotated = d.screen.Rotated
	dev, err := ssd1306.NewI2C(at{bus, uint16(d.screen.Address)}, &options)
	if err != nil {
		return errors.Join(fmt.Errorf("no display answers on bus %d at 0x%02x: %w", d.screen.Bus, d.screen.Address, err), bus.Close())
	}
	d.bus, d.dev = bus, dev
	return nil
}

// at is a bus with one device: the driver knows no address but 0x3C.
type at struct {
	i2c.Bus
	address uint16
}

func (a at) Tx(_ uint16, w, r []byte) error { return a.Bus.Tx(a.address, w, r) }
