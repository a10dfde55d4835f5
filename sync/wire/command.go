package wire

import (
	"fmt"
	"slices"
)

// CommandSchema names what a hub asks of a box.
const CommandSchema = "spinebox.command.v1"

// What a box may be asked. This is the whole list: none of it changes what an
// answer says, reads a file out, or reaches beyond the box's own images.
const (
	CommandStatus = "status" // publish the status now
	CommandRescan = "rescan" // look over the shares now
	CommandRetry  = "retry"  // judge an image in quarantine once more
)

// Command is one request to one box, on that box's own topic.
type Command struct {
	Schema  string `json:"schema"`
	ID      string `json:"id"` // of the sender's making, a digest: the same one twice is done once
	Command string `json:"command"`
	Image   string `json:"image,omitempty"` // of retry: the image's identifier, as in its result
}

// Encode returns the message, or what is wrong with it.
func (c Command) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode command: %w", err)
	}
	return encode(c)
}

// ParseCommand reads a message that somebody sent. What is not on the list is
// an error.
func ParseCommand(message []byte) (Command, error) {
	var c Command
	if err := decode(message, &c); err != nil {
		return Command{}, fmt.Errorf("parse command: %w", err)
	}
	if err := c.check(); err != nil {
		return Command{}, fmt.Errorf("parse command: %w", err)
	}
	return c, nil
}

func (c *Command) check() error {
	if c.Schema != CommandSchema {
		return fmt.Errorf("schema is %.40q, not %q", c.Schema, CommandSchema)
	}
	if err := checkDigest("id", c.ID); err != nil {
		return err
	}
	if !slices.Contains([]string{CommandStatus, CommandRescan, CommandRetry}, c.Command) {
		return fmt.Errorf("there is no command %.40q", c.Command)
	}
	if (c.Command == CommandRetry) != (c.Image != "") {
		return fmt.Errorf("the command %s with image %.40q: retry names one, and only retry", c.Command, c.Image)
	}
	if c.Image == "" {
		return nil
	}
	return checkDigest("image", c.Image)
}
