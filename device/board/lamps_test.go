package board

import (
	"errors"
	"strings"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// fakeChip is a chip with the given lines.
func fakeChip(name, label string, lines ...gpio.PinOut) chip {
	return chip{name, label, len(lines), func(n int) gpio.PinOut { return lines[n] }}
}

// lampsOn makes lamps that look for their lines in chips.
func lampsOn(t *testing.T, lines map[string]Line, chips func() ([]chip, error)) *Lamps {
	t.Helper()
	l, err := NewLamps(lines)
	if err != nil {
		t.Fatal(err)
	}
	l.chips = chips
	return l
}

func TestLampsFollowTheirPolarity(t *testing.T) {
	green, red := &gpiotest.Pin{N: "green"}, &gpiotest.Pin{N: "red", L: gpio.Low}
	l := lampsOn(t, map[string]Line{"green": {Chip: "a chip", Number: 0}, "red": {Chip: "gpiochip1", Number: 1, ActiveLow: true}},
		func() ([]chip, error) {
			return []chip{fakeChip("gpiochip0", "other"), fakeChip("gpiochip1", "a chip", green, red)}, nil
		})
	if err := l.Halt(); err != nil {
		t.Fatal(err)
	}
	if green.Read() != gpio.Low || red.Read() != gpio.High {
		t.Errorf("halted: green %v, red (active low) %v", green.Read(), red.Read())
	}
	for _, lit := range []bool{true, false, true} {
		for _, name := range []string{"green", "red", "a lamp that is not there"} {
			if err := l.Light(name, lit); err != nil {
				t.Fatal(err)
			}
		}
		if green.Read() != gpio.Level(lit) || red.Read() != gpio.Level(!lit) {
			t.Errorf("lit %v: green %v, red (active low) %v", lit, green.Read(), red.Read())
		}
	}
	if err := l.Halt(); err != nil {
		t.Fatal(err)
	}
	if green.Read() != gpio.Low || red.Read() != gpio.High {
		t.Errorf("halted again: green %v, red (active low) %v", green.Read(), red.Read())
	}
}

var errStuck = errors.New("line_request ioctl: device or resource busy")

// line behaves like gpioioctl's: after a refused request it takes itself for
// an output, and obeys no more until it was closed.
type line struct {
	gpiotest.Pin
	busy, poisoned bool
}

func (l *line) Out(level gpio.Level) error {
	if l.busy || l.poisoned {
		l.poisoned = true
		return errStuck
	}
	return l.Pin.Out(level)
}

func (l *line) Close() { l.poisoned = false }

func TestALampThatIsTakenComesBack(t *testing.T) {
	amber := &line{busy: true}
	red := &gpiotest.Pin{N: "red", L: gpio.High}
	l := lampsOn(t, map[string]Line{"amber": {Chip: "c"}, "red": {Chip: "c", Number: 1}},
		func() ([]chip, error) { return []chip{fakeChip("c", "c", amber, red)}, nil })
	err := l.Halt()
	if !errors.Is(err, errStuck) || !strings.Contains(err.Error(), "lamp amber") {
		t.Errorf("halt: %v", err)
	}
	if red.Read() != gpio.Low {
		t.Error("the lamp that does not obey kept another one lit")
	}
	amber.busy = false
	if err := l.Light("amber", true); err != nil || amber.Read() != gpio.High {
		t.Errorf("the line is free again: %v, level %v", err, amber.Read())
	}
}

func TestAChipThatComesLater(t *testing.T) {
	var chips []chip
	l := lampsOn(t, map[string]Line{"green": {Chip: "usb"}}, func() ([]chip, error) { return chips, nil })
	if err := l.Light("green", true); err == nil || !strings.Contains(err.Error(), "there is no GPIO chip usb") {
		t.Errorf("without a chip: %v", err)
	}
	green := &gpiotest.Pin{N: "green"}
	chips = []chip{fakeChip("gpiochip3", "usb", green)}
	if err := l.Light("green", true); err != nil || green.Read() != gpio.High {
		t.Errorf("the chip has come: %v, level %v", err, green.Read())
	}
}

func TestLampsThatCannotBe(t *testing.T) {
	for want, lines := range map[string]map[string]Line{
		"lamp red: a chip and a line number":     {"red": {Number: 3}},
		"from 0 are needed":                      {"red": {Chip: "gpiochip0", Number: -1}},
		"lamps amber and red are both on line 3": {"red": {Chip: "gpiochip0", Number: 3}, "amber": {Chip: "gpiochip0", Number: 3, ActiveLow: true}},
	} {
		if _, err := NewLamps(lines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", lines, err, want)
		}
	}
	two := []chip{fakeChip("gpiochip0", "same", &gpiotest.Pin{}), fakeChip("gpiochip1", "same", &gpiotest.Pin{})}
	for want, line := range map[string]Line{
		"2 GPIO chips are called same":   {Chip: "same"},
		"has lines 0 to 0, not 2":        {Chip: "gpiochip1", Number: 2},
		"there is no GPIO chip gpiochip": {Chip: "gpiochip"},
	} {
		if _, err := find(two, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", line, err, want)
		}
	}
}

// This machine may have no GPIO chip, or some: a lamp on one that nobody has is
// missed by name either way, and looking again is no other answer.
func TestTheKernelsOwnChips(t *testing.T) {
	l, err := NewLamps(map[string]Line{"red": {Chip: "nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Light("red", true); err == nil || !strings.Contains(err.Error(), "there is no GPIO chip nowhere") {
			t.Errorf("a lamp on no chip: %v", err)
		}
	}
}
