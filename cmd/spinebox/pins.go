package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/goccy/go-yaml"

	"spinebox/device/board"
	"spinebox/device/panel"
)

// boardFile is the file that names the lamps' lines: docs/operations.md.
type boardFile struct {
	Lamps map[string]struct {
		Chip      string `yaml:"chip"`
		Line      int    `yaml:"line"`
		ActiveLow bool   `yaml:"active_low"`
	} `yaml:"lamps"`
}

// pins reads the board file. For the simulated board it returns none.
func (c panelConfig) pins() (board.Config, error) {
	if c.Board == simulatedBoard || c.Board == "" {
		return board.Config{}, nil
	}
	raw, err := os.ReadFile(c.Board)
	if err != nil {
		return board.Config{}, fmt.Errorf("read the board: %w", err)
	}
	var file boardFile
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		return board.Config{}, fmt.Errorf("read the board %s: %w", c.Board, err)
	}
	pins := board.Config{Lamps: map[string]board.Line{}}
	for name, line := range file.Lamps {
		switch name {
		case "green", "white", "amber", "red":
			pins.Lamps[name] = board.Line{Chip: line.Chip, Number: line.Line, ActiveLow: line.ActiveLow}
		default:
			return board.Config{}, fmt.Errorf("read the board %s: there is no lamp %q; there are green, white, amber and red", c.Board, name)
		}
	}
	return pins, nil
}

// open returns the board that the panel drives.
func (c panelConfig) open(log *slog.Logger) (panel.Board, error) {
	if c.Board == simulatedBoard {
		return board.NewSimulated(log), nil
	}
	pins, err := c.pins()
	if err != nil {
		return nil, err
	}
	return board.Open(pins)
}
