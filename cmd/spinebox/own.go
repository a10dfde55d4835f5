package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ownFolders are the box's own, from which it must never take a file in. Not
// each of them must exist.
func (c *config) ownFolders() []string {
	own := []string{c.Data, c.ledgerPath(), c.quarantinePath(), c.spoolPath("")}
	for _, s := range c.Shares {
		own = append(own, c.spoolPath(s.Name))
	}
	return own
}

// spoolPath is where the copies of a share's files lie; of no share, of all.
func (c *config) spoolPath(share string) string { return filepath.Join(c.Data, "spool", share) }

// checkApart reports whether a share and the data folder lie within each other
// on the disk as it is now, whatever links and mounts lead there: the box would
// take in, and with finished: delete remove, its own files. A share that does
// not answer is none of its errors; the watcher looks again at every scan.
func (c *config) checkApart(s shareConfig) error {
	entangled := make(chan bool, 1)
	go func() { entangled <- c.entangled(s.Path) }()
	select {
	case yes := <-entangled:
		if yes {
			return fmt.Errorf("links or mounts make it and the data folder %s lie within each other; the box would take in its own files: give the share a folder of its own", c.Data)
		}
	case <-time.After(doctorWait):
	}
	return nil
}

func (c *config) entangled(share string) bool {
	data := resolved(c.Data)
	if at := resolved(share); within(at, data) || within(data, at) {
		return true
	}
	info, err := os.Stat(share)
	if err != nil {
		return false
	}
	// A mount of the same folder has another path, but is the same file.
	folders := c.ownFolders()
	for dir := data; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		folders = append(folders, dir)
	}
	for _, dir := range folders {
		if other, err := os.Stat(dir); err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// resolved returns the path without links, also where what they lead to does
// not exist yet: the data folder is made by the first start.
func resolved(path string) string {
	rest := ""
	for links := 0; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		above := filepath.Dir(path)
		if path == above {
			return filepath.Join(path, rest)
		}
		target, err := os.Readlink(path)
		if links++; err != nil || links > 40 { // the kernel follows no more, either
			path, rest = above, filepath.Join(filepath.Base(path), rest)
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(above, target)
		}
		path = target
	}
}
