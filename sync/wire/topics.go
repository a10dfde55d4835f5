package wire

import (
	"fmt"
	"regexp"
	"strings"
)

const root = "spinebox/v1"

// What the hub subscribes to: every box of every site.
const (
	AllResults  = root + "/+/+/result"
	AllStatuses = root + "/+/+/status"
)

var name = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// CheckName reports whether a site's or a device's name can stand in a topic:
// 1 to 32 of a–z, 0–9 and hyphen. Slashes and wildcards would let one box
// speak, or listen, for another.
func CheckName(s string) error {
	if !name.MatchString(s) {
		return fmt.Errorf("name %.40q must be 1 to 32 lower-case letters, digits or hyphens", s)
	}
	return nil
}

// Topics are where one box and the hub meet.
type Topics struct{ Site, Device string }

// NewTopics returns the topics of a box.
func NewTopics(site, device string) (Topics, error) {
	if err := CheckName(site); err != nil {
		return Topics{}, fmt.Errorf("site: %w", err)
	}
	if err := CheckName(device); err != nil {
		return Topics{}, fmt.Errorf("device: %w", err)
	}
	return Topics{site, device}, nil
}

// Result is where the box sends results, with quality of service 1.
func (t Topics) Result() string { return t.topic("result") }

// Receipt is where the hub answers, once a result is safe on its disk.
func (t Topics) Receipt() string { return t.topic("receipt") }

// Status is where the box keeps its retained status, and the broker its will.
func (t Topics) Status() string { return t.topic("status") }

// Command is where the hub asks something of this box alone.
func (t Topics) Command() string { return t.topic("command") }

func (t Topics) topic(leaf string) string {
	return strings.Join([]string{root, t.Site, t.Device, leaf}, "/")
}

// ParseTopic takes a topic apart into its box and its last part, e.g. "result".
func ParseTopic(topic string) (Topics, string, error) {
	rest, ok := strings.CutPrefix(topic, root+"/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return Topics{}, "", fmt.Errorf("topic %.120q is not %s/<site>/<device>/…", topic, root)
	}
	t, err := NewTopics(parts[0], parts[1])
	if err != nil {
		return Topics{}, "", fmt.Errorf("topic %.120q: %w", topic, err)
	}
	return t, parts[2], nil
}
