package uplink

import (
	"errors"
	"slices"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/sync/wire"
)

// remembered is how many commands a box knows again: a broker may deliver one
// twice.
const remembered = 256

// obey does what a message on the box's own command topic asks, if it is on
// the list. What is not is refused and counted, and never repeated in the log:
// it is a stranger's text.
func (s *session) obey(m paho.Message) error {
	if m.Retained() { // it would be done again after every connect
		s.refuse(errors.New("it is retained"))
		return nil
	}
	command, err := wire.ParseCommand(m.Payload())
	if err != nil {
		s.refuse(errors.New("it is not on the list, or not well formed"))
		return nil
	}
	if slices.Contains(s.obeyed, command.ID) {
		return nil
	}
	s.obeyed = append(s.obeyed, command.ID)
	s.obeyed = s.obeyed[max(0, len(s.obeyed)-remembered):]
	switch {
	case command.Command == wire.CommandStatus:
		s.status = nil // whatever was said last
		err = s.sayStatus()
		if err != nil {
			return err
		}
	case s.o.Command == nil:
		err = errors.New("this box takes none")
	default:
		err = s.o.Command(command)
	}
	if err != nil {
		s.refuse(err)
		return nil
	}
	s.mu.Lock()
	s.state.Commands++
	s.mu.Unlock()
	s.obedience.say(s.o.Now(), func(unsaid int) {
		s.log.Info("the hub's command is obeyed", "command", command.Command, "not_said", unsaid)
	})
	return nil
}

func (u *Uplink) refuse(why error) {
	u.mu.Lock()
	u.state.Refused++
	u.mu.Unlock()
	u.refusals.say(u.o.Now(), func(unsaid int) {
		u.log.Warn("a command is refused", "reason", why, "not_said", unsaid)
	})
}
