// Package board drives the lamps of a real box through the kernel's GPIO
// character devices (/dev/gpiochip*), and simulates them where there are none.
//
// periph has no driver for the Jetson, so a lamp is named by chip and line, as
// the board's own description (or "gpioinfo") lists them; chips can go by
// their kernel name ("gpiochip0") or, better, by their label ("tegra234-gpio"),
// which stays the same when the kernel counts chips in another order. The
// service's user needs to be in the group that owns the devices.
//
// Wiring: a GPIO line drives a few milliamperes at most. Drive each lamp
// through a transistor; with a PNP or P-channel one, or a lamp between supply
// and line, set ActiveLow.
package board

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// Line is one line of one GPIO chip.
type Line struct {
	Chip      string // kernel name or label
	Number    int    // offset on the chip, from 0: not the number of a header's pin
	ActiveLow bool   // the lamp is lit while the line is low
}

// Config describes a board: which line drives the lamp of which name. Lamps
// that are not named do not exist.
type Config struct {
	Lamps map[string]Line
}

// Board drives lamps. It is not for concurrent use.
type Board struct {
	lamps map[string]lamp
}

type lamp struct {
	pin gpio.PinOut
	low bool // active low
}

// Open finds the lines and turns every lamp off, so that a line that is taken,
// or not ours to drive, is found at the start.
//
// A line becomes an output that is low before its first level can be set, so a
// lamp that is active low flashes for some microseconds.
func Open(c Config) (*Board, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if len(c.Lamps) > 0 {
		if _, err := driverreg.Init(); err != nil {
			return nil, fmt.Errorf("look for GPIO chips: %w", err)
		}
	}
	b := &Board{lamps: map[string]lamp{}}
	for name, line := range c.Lamps {
		pin, err := find(gpioioctl.Chips, line)
		if err != nil {
			return nil, fmt.Errorf("lamp %s: %w", name, err)
		}
		b.lamps[name] = lamp{pin, line.ActiveLow}
	}
	if err := b.Halt(); err != nil {
		return nil, err
	}
	return b, nil
}

func (c Config) validate() error {
	users := map[Line]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Lamps)) {
		line := c.Lamps[name]
		if line.Chip == "" || line.Number < 0 {
			return fmt.Errorf("lamp %s: a chip and a line number from 0 are needed", name)
		}
		line.ActiveLow = false
		if other, taken := users[line]; taken {
			return fmt.Errorf("lamps %s and %s are both on line %d of %s", other, name, line.Number, line.Chip)
		}
		users[line] = name
	}
	return nil
}

func find(chips []*gpioioctl.GPIOChip, line Line) (gpio.PinOut, error) {
	var found *gpioioctl.GPIOChip
	var names []string
	for _, chip := range chips {
		names = append(names, fmt.Sprintf("%s (%s)", chip.Name(), chip.Label()))
		if chip.Name() != line.Chip && chip.Label() != line.Chip {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("two GPIO chips are called %s: name it by gpiochip and number", line.Chip)
		}
		found = chip
	}
	if found == nil {
		return nil, fmt.Errorf("there is no GPIO chip %s among %q, or the service may not open it", line.Chip, names)
	}
	if line.Number >= found.LineCount() {
		return nil, fmt.Errorf("chip %s has lines 0 to %d, not %d", line.Chip, found.LineCount()-1, line.Number)
	}
	return found.ByNumber(line.Number), nil
}

// Light switches a lamp. A lamp that the board does not have stays as it is.
func (b *Board) Light(name string, lit bool) error {
	l, ok := b.lamps[name]
	if !ok {
		return nil
	}
	if err := l.pin.Out(gpio.Level(lit != l.low)); err != nil {
		return fmt.Errorf("switch lamp %s: %w", name, err)
	}
	return nil
}

// Show does nothing: this board has no display.
func (b *Board) Show([]string) error { return nil }

// Halt turns all lamps off. One that does not obey keeps none of the others lit.
func (b *Board) Halt() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(b.lamps)) {
		errs = append(errs, b.Light(name, false))
	}
	return errors.Join(errs...)
}
