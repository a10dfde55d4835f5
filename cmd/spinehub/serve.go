package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"spinebox/hub/broker"
	"spinebox/hub/intake"
	"spinebox/hub/store"
	"spinebox/internal/spine"
	"spinebox/sync/access"
	"spinebox/sync/wire"
)

// serving is what serve is told.
type serving struct {
	broker   string
	embedded string
	store    string
	json     bool

	ca, cert, certKey  string // files, for tls://
	user, passwordFile string
}

func serveCommand() *cobra.Command {
	var s serving
	c := &cobra.Command{
		Use:   "serve (--broker URL | --embedded-broker ADDRESS) --store DIR",
		Short: "Take the boxes' results from a broker and keep them",
		Long: "Take the boxes' results from a broker, keep them in a file of JSON lines, send the receipts, and\n" +
			"print every new result on a line. A result is on the disk before its box gets the receipt.\n" +
			"The log goes to the standard error.\n" + spine.IntendedUse,
		Example: `  spinehub serve --broker tcp://broker:1883 --store /var/lib/spinehub
  spinehub serve --broker tls://broker:8883 --ca ca.pem --cert hub.pem --cert-key hub.key --store /var/lib/spinehub
  spinehub serve --broker tls://broker:8883 --username hub --password-file password --store /var/lib/spinehub --json
  spinehub serve --embedded-broker 127.0.0.1:1883 --store results    # to try it out`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case (s.broker == "") == (s.embedded == ""):
				return asUsage(c, errors.New("give either --broker or --embedded-broker"))
			case (s.cert == "") != (s.certKey == ""):
				return asUsage(c, errors.New("--cert and --cert-key go together"))
			case (s.user == "") != (s.passwordFile == ""):
				return asUsage(c, errors.New("--username and --password-file go together"))
			case s.embedded != "" && !strings.Contains(s.embedded, ":"):
				return asUsage(c, fmt.Errorf("--embedded-broker wants host:port, like 127.0.0.1:%s", s.embedded))
			case s.embedded != "" && s.ca+s.cert+s.user+s.passwordFile != "":
				return asUsage(c, errors.New("the embedded broker lets everybody in: it takes no certificate and no password"))
			case s.store == "":
				return asUsage(c, errors.New("--store is missing"))
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			log.Info("spinehub "+version, "store", s.store, "use", spine.IntendedUse)
			return s.run(c.Context(), c.OutOrStdout(), log)
		},
	}
	c.Flags().StringVar(&s.broker, "broker", "", "the broker's `URL`: tcp://[user:password@]host:1883 or tls://…:8883; a password is better kept in a file")
	c.Flags().StringVar(&s.ca, "ca", "", "`FILE` with the authority of the broker's certificate (PEM); without it the system's count")
	c.Flags().StringVar(&s.cert, "cert", "", "`FILE` with the hub's own certificate (PEM), for a broker that wants one")
	c.Flags().StringVar(&s.certKey, "cert-key", "", "`FILE` with its key (PEM)")
	c.Flags().StringVar(&s.user, "username", "", "`name` for a broker that wants one")
	c.Flags().StringVar(&s.passwordFile, "password-file", "", "`FILE` whose first line is the password; nobody but its owner may read it")
	c.Flags().StringVar(&s.embedded, "embedded-broker", "", "run a broker on this `address`, host:port; it lets everybody in")
	c.Flags().StringVar(&s.store, "store", "", "the `folder` for the results")
	c.Flags().BoolVar(&s.json, "json", false, "print the messages, one a line")
	return c
}

// run serves until ctx is done. The intake ends before the broker and the
// store do: what it has taken is stored and receipted.
func (s *serving) run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	encryption, err := access.TLS(s.ca, s.cert, s.certKey)
	if err != nil {
		return err
	}
	password, err := access.Password(s.passwordFile)
	if err != nil {
		return err
	}
	kept, err := store.Open(s.store, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()

	url, serveBroker := s.broker, func(context.Context) error { return nil }
	if s.embedded != "" {
		b, err := broker.Open(s.embedded, log)
		if err != nil {
			return err
		}
		url, serveBroker = "tcp://"+b.Address(), b.Run
	}
	var online sync.Map // by device: whether it was
	in, err := intake.New(intake.Options{
		Broker: url, Username: s.user, Password: password, TLS: encryption, Store: kept, Log: log,
		Fatal: func(err error) bool { return errors.Is(err, store.ErrLost) },
		OnResult: func(r wire.Result) {
			if err := show(out, r, s.json); err != nil {
				log.Error("result not printed; it is stored", "error", err)
			}
		},
		OnStatus: func(b wire.Status) { // a box says how it is each minute
			device := b.Site + "/" + b.Device
			if was, known := online.Swap(device, b.Online); !known || was != b.Online {
				log.Info("box", "device", device, "online", b.Online)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	rest, stopRest := context.WithCancel(context.WithoutCancel(ctx))
	var all errgroup.Group
	all.Go(func() error { return serveBroker(rest) })
	all.Go(func() error { defer stopRest(); return in.Run(ctx) })
	err = all.Wait()
	counts := in.Counts()
	log.Info("stopped", "stored", counts.Stored, "repeated", counts.Repeated, "malformed", counts.Malformed)
	return err
}
