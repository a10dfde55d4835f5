package board

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"periph.io/x/conn/v3/gpio"
)

// Line is one line of one GPIO chip.
type Line struct {
	Chip      string // kernel name or label
	Number    int    // offset on the chip, from 0: not the number of a header's pin
	ActiveLow bool   // the lamp is lit while the line is low
}

// Lamps are the lamps of a board. They are not for concurrent use.
type Lamps struct {
	lines map[string]Line
	pins  map[string]gpio.PinOut // found so far
	chips func() ([]chip, error)
}

// chip is what lamps need of a gpioioctl.GPIOChip.
type chip struct {
	name, label string
	lines       int
	line        func(number int) gpio.PinOut
}

// NewLamps describes lamps by their names. Lamps without a line do not exist.
// Nothing is opened: [Lamps.Light] does that.
func NewLamps(lines map[string]Line) (*Lamps, error) {
	users := map[Line]string{}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		line := lines[name]
		if line.Chip == "" || line.Number < 0 {
			return nil, fmt.Errorf("lamp %s: a chip and a line number from 0 are needed", name)
		}
		line.ActiveLow = false
		if other, taken := users[line]; taken {
			return nil, fmt.Errorf("lamps %s and %s are both on line %d of %s", other, name, line.Number, line.Chip)
		}
		users[line] = name
	}
	return &Lamps{lines: maps.Clone(lines), pins: map[string]gpio.PinOut{}, chips: new(kernel).chips}, nil
}

// Light switches a lamp. A lamp that the board does not have stays as it is.
//
// A line becomes an output that is low before its first level can be set, so a
// lamp that is active low flashes for some microseconds.
func (l *Lamps) Light(name string, lit bool) error {
	line, ok := l.lines[name]
	if !ok {
		return nil
	}
	pin, err := l.pin(name, line)
	if err == nil {
		err = pin.Out(gpio.Level(lit != line.ActiveLow))
	}
	if err != nil {
		l.release(name)
		return fmt.Errorf("switch lamp %s: %w", name, err)
	}
	return nil
}

// Halt turns all lamps off. One that does not obey keeps none of the others lit.
func (l *Lamps) Halt() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(l.lines)) {
		errs = append(errs, l.Light(name, false))
	}
	return errors.Join(errs...)
}

func (l *Lamps) pin(name string, line Line) (gpio.PinOut, error) {
	if pin, ok := l.pins[name]; ok {
		return pin, nil
	}
	chips, err := l.chips()
	if err != nil {
		return nil, err
	}
	pin, err := find(chips, line)
	if err == nil {
		l.pins[name] = pin
	}
	return pin, err
}

// release gives a line back that did not obey. gpioioctl takes a line whose
// request was refused for an output nevertheless, and would from then on write
// its levels to the standard input: only a closed line is requested anew.
func (l *Lamps) release(name string) {
	if line, ok := l.pins[name].(interface{ Close() }); ok {
		line.Close()
	}
	delete(l.pins, name)
}

func find(chips []chip, line Line) (gpio.PinOut, error) {
	var found []chip
	var names []string
	for _, c := range chips {
		names = append(names, fmt.Sprintf("%s (%s)", c.name, c.label))
		if c.name == line.Chip || c.label == line.Chip {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("there is no GPIO chip %s among %q, or the service may not open it", line.Chip, names)
	case len(found) > 1:
		return nil, fmt.Errorf("%d GPIO chips are called %s: name it by gpiochip and number", len(found), line.Chip)
	case line.Number >= found[0].lines:
		return nil, fmt.Errorf("chip %s has lines 0 to %d, not %d", line.Chip, found[0].lines-1, line.Number)
	}
	return found[0].line(line.Number), nil
}
