package wire

import (
	"strings"
	"testing"
)

func TestCommandsAreAnAllowList(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for _, good := range []Command{
		{CommandSchema, id, CommandStatus, ""}, {CommandSchema, id, CommandRescan, ""}, {CommandSchema, id, CommandRetry, id},
	} {
		message, err := good.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseCommand(message); err != nil || got != good {
			t.Errorf("%s came back as %+v, %v", message, got, err)
		}
	}
	for message, want := range map[string]string{
		`{"schema":"spinebox.command.v1","id":"` + id + `","command":"reboot"}`:                      "no command",
		`{"schema":"spinebox.command.v1","id":"` + id + `","command":"retry"}`:                       "retry names one",
		`{"schema":"spinebox.command.v1","id":"` + id + `","command":"status","image":"` + id + `"}`: "only retry",
		`{"schema":"spinebox.command.v1","id":"` + id + `","command":"retry","image":"../.."}`:       "image",
		`{"schema":"spinebox.command.v1","id":"1","command":"status"}`:                               "id",
		`{"schema":"spinebox.command.v1","id":"` + id + `","command":"status","run":"sh"}`:           "unknown field",
		`{"schema":"spinebox.command.v2","id":"` + id + `","command":"status"}`:                      "schema",
	} {
		if _, err := ParseCommand([]byte(message)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", message, err, want)
		}
	}
}
