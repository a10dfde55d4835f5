package intake

import (
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/sync/wire"
)

// take stores the results among the messages, and then sends their receipts.
// It returns an error when the connection or the store is of no more use.
func (in *Intake) take(client paho.Client, messages []paho.Message) error {
	var results []wire.Result
	for _, m := range messages {
		result, err := in.read(m.Topic(), m.Payload())
		if err != nil {
			in.count(func(c *Counts) { c.Malformed++ })
			in.log.Warn("message not taken", "topic", m.Topic(), "error", err)
		} else if result != nil {
			results = append(results, *result)
		}
	}
	if len(results) == 0 {
		return nil
	}
	now := in.o.Now()
	fresh, err := in.o.Store.Append(results, now)
	if err != nil {
		in.count(func(c *Counts) { c.Refused += uint64(len(results)) })
		if in.o.Fatal(err) {
			return err
		}
		in.log.Error("results not stored: their boxes will send them again", "results", len(results), "error", err)
		return nil
	}
	for i, r := range results {
		if fresh[i] {
			in.count(func(c *Counts) { c.Stored++ })
			in.o.OnResult(r)
		} else {
			in.count(func(c *Counts) { c.Repeated++ })
		}
		if err := in.receipt(client, wire.NewReceipt(r, now), wire.Topics{Site: r.Site, Device: r.Device}); err != nil {
			return err
		}
	}
	return nil
}

// read reads one message. It returns nil for one that is no result.
func (in *Intake) read(topic string, payload []byte) (*wire.Result, error) {
	from, leaf, err := wire.ParseTopic(topic)
	if err != nil {
		return nil, err
	}
	switch leaf {
	case "result":
		r, err := wire.ParseResult(payload)
		if err != nil {
			return nil, err
		}
		return &r, speaksFor(from, r.Site, r.Device)
	case "status":
		if len(payload) == 0 {
			return nil, nil // somebody took the retained one away
		}
		s, err := wire.ParseStatus(payload)
		if err != nil {
			return nil, err
		}
		if err := speaksFor(from, s.Site, s.Device); err != nil {
			return nil, err
		}
		in.o.OnStatus(s)
	}
	return nil, nil
}

// speaksFor refuses a message that was sent on another box's topic: who may
// write to a topic is all that a broker can check.
func speaksFor(topics wire.Topics, site, device string) error {
	if topics.Site != site || topics.Device != device {
		return fmt.Errorf("it names the box %s/%s", site, device)
	}
	return nil
}

func (in *Intake) receipt(client paho.Client, receipt wire.Receipt, to wire.Topics) error {
	message, err := receipt.Encode()
	if err != nil {
		return err
	}
	token := client.Publish(to.Receipt(), 1, false, message)
	select {
	case <-token.Done(): // so soon, most likely an error
		if err := token.Error(); err != nil {
			return fmt.Errorf("send receipt: %w", err)
		}
	default:
	}
	return nil
}
