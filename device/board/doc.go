// Package board drives what a box has on its front: [Lamps] on GPIO lines, and
// a small [Display] on an I²C bus. Neither opens anything before its first use,
// and neither stays broken: what could not be reached is looked for again at
// the next call, so a bus that is missing is a state and no end of a service.
//
// # Lamps
//
// periph has no driver for the Jetson, so a lamp is named by chip and line, as
// the board's own description (or "gpioinfo") lists them, and driven through
// the kernel's character devices (/dev/gpiochip*). A chip goes by its kernel
// name ("gpiochip0") or, better, by its label ("tegra234-gpio"), which stays
// the same when the kernel counts chips in another order.
//
// A GPIO line drives a few milliamperes at most: drive each lamp through a
// transistor. With a PNP or P-channel one, or a lamp between supply and line,
// set ActiveLow.
//
// # Display
//
// An SSD1306 with 128×64 pixels: supply, ground, SDA and SCL of one I²C bus
// (/dev/i2c-N), at the address 0x3C or 0x3D that a resistor on its back sets.
//
// The service's user needs to be in the groups that own these devices.
package board
