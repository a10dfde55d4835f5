package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spinebox/internal/regular"
	"spinebox/sync/ledger"
)

func backupCommand() *cobra.Command {
	var path string
	var replace bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a copy of the ledger, beside the running service or without it",
		Long: `Write the ledger, as it is at one moment, into a file that ` + "`spinebox restore`" + `
reads. The file holds the names of X-rays' files: keep it as carefully as the
box. Files in quarantine, the models and the site's key are not in it.`,
		Example: "  spinebox backup /mnt/usb/box-1.backup\n  spinebox backup --replace /mnt/usb/latest.backup",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			config, err := loadConfig(path)
			if err != nil {
				return err
			}
			if _, err := os.Lstat(args[0]); err == nil && !replace {
				return withHint(fmt.Errorf("%s is there already", args[0]), "give another name, or --replace")
			}
			head, err := backUp(c.Context(), config, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d results, of which %d wait for the hub\n", args[0], head.Images, head.Outbox)
			return err
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().BoolVar(&replace, "replace", false, "replace a file of that name, once the new backup is whole")
	return c
}

// backUp writes a backup wholly or not at all.
func backUp(ctx context.Context, c *config, path string) (head ledger.BackupHead, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // 0600
	if err != nil {
		return head, fmt.Errorf("write the backup: %w", err)
	}
	defer os.Remove(f.Name()) // it has its own name by then, or is of no use
	defer f.Close()
	response, err := post(ctx, c.Data, "backup", struct{}{})
	switch {
	case errors.Is(err, errNotRunning):
		err = atDesk(c, func(d *desk) error { return d.ledger.Backup(f) })
	case err == nil:
		_, err = io.Copy(f, response.Body)
		err = errors.Join(err, response.Body.Close())
	}
	if err == nil {
		head, err = ledger.CheckBackup(f)
	}
	if err == nil {
		err = errors.Join(f.Sync(), os.Rename(f.Name(), path))
	}
	if err != nil {
		return head, fmt.Errorf("write the backup: %w", err)
	}
	return head, nil
}

func restoreCommand() *cobra.Command {
	var path string
	var anothers bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the ledger's place, while the service does not run",
		Long: `Put a backup in the ledger's place. The service must not run; the present
ledger is moved aside, not removed. Results whose receipts came after the backup
are sent again, which the hub knows; files that are still on the share are taken
as new if the backup does not know them.`,
		Example: "  systemctl stop spinebox\n  sudo -u spinebox spinebox restore /mnt/usb/box-1.backup\n  systemctl start spinebox",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			config, err := loadConfig(path)
			if err != nil {
				return err
			}
			if err := config.asOwner(); err != nil {
				return err
			}
			f, err := regular.Open(args[0])
			if err != nil {
				return fmt.Errorf("open the backup: %w", err)
			}
			defer f.Close()
			if of, err := ledger.CheckBackup(f); err == nil && of.Owner != "" && of.Owner != config.owner() && !anothers {
				return withHint(fmt.Errorf("the backup is of %s, and this box is %s; nothing was changed", of.Owner, config.owner()),
					"--of-another-box restores it all the same, where this box has taken that one's place")
			}
			head, former, err := ledger.Restore(f, config.ledgerPath(), slog.New(slog.DiscardHandler))
			switch {
			case errors.Is(err, ledger.ErrInUse):
				return withHint(err, "`systemctl stop spinebox`, restore, and start it again")
			case errors.Is(err, ledger.ErrDamaged):
				return withHint(err, "nothing was changed; take another backup")
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the ledger is that of %s again: %d results, of which %d wait for the hub\nthe former ledger is in %s; remove it when all is well\n",
				clock(head.Created), head.Images, head.Outbox, former)
			return err
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().BoolVar(&anothers, "of-another-box", false, "restore also a backup of a box of another name")
	return c
}
