package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type question struct{ Word string }

type reply struct{ Echo string }

func TestControl(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 12)) // more than a socket's address holds
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var got reply
	if err := ask(t.Context(), dir, "echo", question{"a"}, &got); !errors.Is(err, errNotRunning) {
		t.Errorf("without a service: %v", err)
	}
	for range 2 { // the second one takes the place of one that died
		c, err := openControl(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, controlName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v (%v)", info.Mode(), err)
		}
		handle(c, "echo", func(_ context.Context, q question) (any, error) {
			if q.Word == "" {
				return nil, withHint(errors.New("there is no word"), "say one")
			}
			return reply{q.Word}, nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		if err := ask(t.Context(), dir, "echo", question{"hello"}, &got); err != nil || got.Echo != "hello" {
			t.Errorf("it answers %q (%v)", got.Echo, err)
		}
		err = ask(t.Context(), dir, "echo", question{}, &got)
		if h, ok := errors.AsType[*hinted](err); !ok || h.Error() != "there is no word" || h.hint != "say one" {
			t.Errorf("its complaint arrives as %v", err)
		}
		if err := ask(t.Context(), dir, "bogus", question{}, &got); err == nil || !strings.Contains(err.Error(), `no command "bogus"`) {
			t.Errorf("an unknown command: %v", err)
		}
		if err := ask(t.Context(), dir, "echo", map[string]string{"Wort": "a"}, &got); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("an unknown field: %v", err)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if err := ask(t.Context(), dir, "echo", question{"a"}, &got); !errors.Is(err, errNotRunning) {
			t.Errorf("after its end: %v", err)
		}
	}
}
