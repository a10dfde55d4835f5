package board

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"periph.io/x/host/v3/gpioioctl"
)

func TestLampsFollowTheirPolarity(t *testing.T) {
	green, red := &gpiotest.Pin{N: "green"}, &gpiotest.Pin{N: "red", L: gpio.Low}
	b := &Board{lamps: map[string]lamp{"green": {green, false}, "red": {red, true}}}
	level := func(p *gpiotest.Pin) gpio.Level { return p.Read() }

	if err := b.Halt(); err != nil {
		t.Fatal(err)
	}
	if level(green) != gpio.Low || level(red) != gpio.High {
		t.Errorf("halted: green %v, red (active low) %v", level(green), level(red))
	}
	for _, lit := range []bool{true, false, true} {
		for _, name := range []string{"green", "red", "a lamp that is not there"} {
			if err := b.Light(name, lit); err != nil {
				t.Fatal(err)
			}
		}
		if level(green) != gpio.Level(lit) || level(red) != gpio.Level(!lit) {
			t.Errorf("lit %v: green %v, red (active low) %v", lit, level(green), level(red))
		}
	}
	if err := b.Halt(); err != nil {
		t.Fatal(err)
	}
	if level(green) != gpio.Low || level(red) != gpio.High {
		t.Errorf("halted again: green %v, red (active low) %v", level(green), level(red))
	}
}

// stuck is a pin that does not obey.
type stuck struct{ gpiotest.Pin }

var errStuck = errors.New("line_request ioctl: device or resource busy")

func (*stuck) Out(gpio.Level) error { return errStuck }

func TestOneStuckLampKeepsNoOtherLit(t *testing.T) {
	red := &gpiotest.Pin{N: "red", L: gpio.High}
	b := &Board{lamps: map[string]lamp{"amber": {&stuck{}, false}, "red": {red, false}}}
	err := b.Halt()
	if !errors.Is(err, errStuck) || !strings.Contains(err.Error(), "lamp amber") {
		t.Errorf("halt: %v", err)
	}
	if red.Read() != gpio.Low {
		t.Error("red stayed lit")
	}
}

func TestDescriptionsThatCannotBe(t *testing.T) {
	for want, c := range map[string]Config{
		"lamp red: a chip and a line number": {Lamps: map[string]Line{"red": {Number: 3}}},
		"from 0 are needed":                  {Lamps: map[string]Line{"red": {Chip: "gpiochip0", Number: -1}}},
		"lamps amber and red are both on line 3": {Lamps: map[string]Line{
			"red": {Chip: "gpiochip0", Number: 3}, "amber": {Chip: "gpiochip0", Number: 3, ActiveLow: true}}},
		"there is no GPIO chip nowhere": {Lamps: map[string]Line{"red": {Chip: "nowhere"}}},
	} {
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %+v: %v, want %q", c, err, want)
		}
	}
	if _, err := Open(Config{}); err != nil {
		t.Errorf("a board without lamps: %v", err)
	}
	if _, err := find([]*gpioioctl.GPIOChip{{}, {}}, Line{}); err == nil || !strings.Contains(err.Error(), "two GPIO chips") {
		t.Errorf("two chips of one name: %v", err)
	}
	if _, err := find([]*gpioioctl.GPIOChip{{}}, Line{Number: 2}); err == nil || !strings.Contains(err.Error(), "not 2") {
		t.Errorf("a line past the last: %v", err)
	}
}

func TestSimulatedBoardRemembersAndLogsChanges(t *testing.T) {
	var log bytes.Buffer
	s := NewSimulated(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	show := func() {
		for _, err := range []error{s.Light("green", true), s.Light("red", false), s.Light("white", true), s.Show([]string{"WORKING", "1 waiting", "", ""})} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	show()
	show()
	if got := s.Lit(); !slices.Equal(got, []string{"green", "white"}) {
		t.Errorf("lit %q", got)
	}
	if got := s.Lines(); !slices.Equal(got, []string{"WORKING", "1 waiting"}) {
		t.Errorf("lines %q", got)
	}
	if got := strings.Count(log.String(), "simulated panel"); got != 1 {
		t.Errorf("logged %d times:\n%s", got, log.String())
	}
	if err := s.Halt(); err != nil || len(s.Lit()) != 0 || len(s.Lines()) != 0 {
		t.Errorf("halted: %v, lit %q, lines %q", err, s.Lit(), s.Lines())
	}
}
