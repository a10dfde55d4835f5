package board

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"periph.io/x/conn/v3/driver"
	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// kernel lists the GPIO chips of this machine. periph looks for them once in a
// program's life; kernel lets it look again when a chip has come, such as one
// behind USB, or one that the service was not allowed to open at the boot.
type kernel struct {
	seen   []string // devices that could be opened when periph looked last
	looked bool
	found  []chip
}

func (k *kernel) chips() ([]chip, error) {
	devices, err := openable("/dev/gpiochip*")
	if err != nil {
		return nil, err
	}
	if k.looked && slices.Equal(devices, k.seen) {
		return k.found, nil
	}
	state, err := driverreg.Init() // a second time it only tells what it did the first time
	if err != nil {
		return nil, fmt.Errorf("look for GPIO chips: %w", err)
	}
	if k.looked {
		// Chips that were found before stay open: their lamps are lit.
		gpioioctl.Chips = nil
		if _, err := gpioDriver(state).Init(); err != nil {
			return nil, fmt.Errorf("look for GPIO chips again: %w", err)
		}
	}
	k.looked, k.seen, k.found = true, devices, nil
	for _, c := range gpioioctl.Chips {
		k.found = append(k.found, chip{c.Name(), c.Label(), c.LineCount(), func(n int) gpio.PinOut { return c.ByNumber(n) }})
	}
	return k.found, nil
}

// gpioDriver returns periph's driver, which registers itself and no more.
func gpioDriver(state *driverreg.State) driver.Impl {
	all := slices.Clone(state.Loaded)
	for _, failure := range slices.Concat(state.Skipped, state.Failed) {
		all = append(all, failure.D)
	}
	return all[slices.IndexFunc(all, func(d driver.Impl) bool { return d.String() == "ioctl-gpio" })]
}

// openable returns the devices that this process may open.
func openable(pattern string) (devices []string, err error) {
	all, err := filepath.Glob(pattern)
	for _, name := range all {
		if f, err := os.Open(name); err == nil {
			f.Close()
			devices = append(devices, name)
		}
	}
	return devices, err
}
