package uplink

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Ten thousand rubbish commands are some lines, and none is forgotten.
func TestRubbishDoesNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	u := newUplink(t, "tcp://127.0.0.1:1", newQueue(), func(o *Options) {
		o.Log, o.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
	})
	for range 10_000 {
		u.refuse(errors.New("it is not on the list"))
	}
	now = now.Add(time.Hour)
	u.refuse(errors.New("it is not on the list"))
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "not_said=9999") {
		t.Errorf("%d lines:\n%s", lines, &log)
	}
	if n := u.State().Refused; n != 10_001 {
		t.Errorf("%d are counted", n)
	}
}
