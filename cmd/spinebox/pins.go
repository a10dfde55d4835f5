package main

import (
	"fmt"

	"spinebox/device/board"
	"spinebox/device/panel"
	"spinebox/internal/regular"
)

// boardFile names the lines and the bus of a board's front; its keys are
// explained in systemd/boards/jetson-orin-nano.yml.
type boardFile struct {
	Lamps   lampLines   `yaml:"lamps"`
	Display *screenFile `yaml:"display"`
}

// lampLines are the lamps that there can be.
type lampLines struct {
	Red   *lineFile `yaml:"red"`
	Amber *lineFile `yaml:"amber"`
	Green *lineFile `yaml:"green"`
	White *lineFile `yaml:"white"`
}

type lineFile struct {
	Chip      string `yaml:"chip"`
	Line      *int   `yaml:"line"`
	ActiveLow bool   `yaml:"active_low"`
}

type screenFile struct {
	Bus     *int `yaml:"bus"`
	Address int  `yaml:"address"`
	Rotated bool `yaml:"rotated"`
}

// number returns a number of the file, or -1, which is none, where it is left
// out: no line and no bus is guessed.
func number(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// front is what the panel drives; either may be nil.
type front struct {
	lamps   []string // that it has, from the top
	lights  panel.Lights
	display panel.Display
}

// front reads the board file and returns what it describes, with everything
// that is wrong in it. Nothing is opened: what is not connected now may come.
// The simulated board has nothing: what it would show is in the log.
func (c panelConfig) front() (front, []problem, error) {
	if c.Board == simulatedBoard || c.Board == "" {
		return front{}, nil, nil
	}
	raw, err := regular.Read(c.Board)
	if err != nil {
		return front{}, nil, fmt.Errorf("read the board: %w", err)
	}
	var file boardFile
	source := document{file: c.Board}
	problems := source.fill(raw, &file, nil)

	var f front
	lines := map[string]board.Line{}
	given := map[string]*lineFile{"red": file.Lamps.Red, "amber": file.Lamps.Amber, "green": file.Lamps.Green, "white": file.Lamps.White}
	for _, name := range panel.Places() {
		if line := given[name]; line != nil {
			f.lamps = append(f.lamps, name)
			lines[name] = board.Line{Chip: line.Chip, Number: number(line.Line), ActiveLow: line.ActiveLow}
		}
	}
	if len(lines) > 0 {
		lamps, err := board.NewLamps(lines)
		if err != nil {
			problems = append(problems, source.wrong("lamps", "%v", err))
		}
		f.lights = lamps
	}
	if s := file.Display; s != nil {
		display, err := board.NewDisplay(board.Screen{Bus: number(s.Bus), Address: s.Address, Rotated: s.Rotated})
		if err != nil {
			problems = append(problems, source.wrong("display", "%v", err))
		}
		f.display = display
	}
	return f, problems, nil
}

// open is front for commands that need a good board file.
func (c panelConfig) open() (front, error) {
	f, problems, err := c.front()
	if err == nil {
		err = unusable("the board file", problems)
	}
	if err != nil {
		return front{}, err
	}
	return f, nil
}
