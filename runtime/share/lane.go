package share

import (
	"context"
	"errors"
	"time"
)

// errHung means that the share has not answered within the limit.
var errHung = errors.New("it does not answer")

// lane is the only way into one share. A call into a dead SMB or NFS mount can
// block for ever and cannot be interrupted, so every visit runs in a goroutine
// of its own that is given up when it makes no progress. While a goroutine that
// was given up is still blocked, nobody else is sent after it: at most one
// goroutine (and one thread) of each share is ever stuck.
type lane struct {
	limit time.Duration
	alive func()        // called when a visit has made progress
	stuck chan struct{} // closed when the goroutine that was given up has ended; nil when there is none

	// hold, when not nil, is called before each call into the share: a test's
	// way to let the share hang or fail.
	hold func(step string) error
}

// pulse is called by a visit before each call into the share. It says that the
// visit is alive, and returns an error when the visit must end.
type pulse func(step string) error

// visit runs work and returns what it returns, or errHung when no pulse came
// for the lane's limit. The result of work that was given up goes to discard,
// whenever it arrives. Work must touch nothing that outlives it but its result.
func visit[T any](ctx context.Context, l *lane, work func(pulse) (T, error), discard func(T)) (T, error) {
	var none T
	if l.stuck != nil {
		select {
		case <-l.stuck:
			l.stuck = nil
		default:
			return none, errHung
		}
	}
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beats := make(chan struct{}, 1)
	results, givenUp, ended := make(chan result), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		value, err := work(func(step string) error {
			select {
			case beats <- struct{}{}:
			default:
			}
			if l.hold != nil {
				if err := l.hold(step); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		select {
		case results <- result{value, err}:
		case <-givenUp:
			if err == nil {
				discard(value)
			}
		}
	}()

	limit := time.NewTimer(l.limit)
	defer limit.Stop()
	for {
		select {
		case r := <-results:
			return r.value, r.err
		case <-beats:
			l.alive()
			limit.Reset(l.limit)
		case <-limit.C:
			close(givenUp)
			l.stuck = ended
			return none, errHung
		}
	}
}
