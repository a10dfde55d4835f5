// Package disktest gives tests small disks of their own, to be filled up and
// to lose their power. It is for tests only, and needs root: without the right
// to mount, a test that asks for a disk is skipped by name.
package disktest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a mounted file system. Dir is its root.
type Disk struct {
	t     testing.TB
	Dir   string
	image string // of an ext4, the file that it lies in
}

// InMemory mounts a tmpfs of that many bytes and files (0: as many as there
// is space for).
func InMemory(t testing.TB, bytes int64, files int) *Disk {
	t.Helper()
	d := &Disk{t: t, Dir: t.TempDir()}
	err := unix.Mount("none", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", bytes, files))
	if errors.Is(err, unix.EPERM) {
		t.Skip("mounting is not allowed here")
	}
	if err != nil {
		t.Fatalf("mount a disk in memory: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(d.Dir, unix.MNT_DETACH) })
	return d
}

// Ext4 makes and mounts an ext4 of that many bytes in a file.
func Ext4(t testing.TB, bytes int64, options ...string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting is not allowed here: not root")
	}
	image := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(bytes), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	make := exec.Command("mkfs.ext4", append(options, "-q", "-F", "-m", "0", image)...)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", make, err, out)
	}
	return mount(t, image)
}

func mount(t testing.TB, image string) *Disk {
	t.Helper()
	d := &Disk{t: t, Dir: t.TempDir(), image: image}
	out, err := exec.Command("mount", "-o", "loop", image, d.Dir).CombinedOutput()
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("mount %s: %v\n%s", image, err, out)
	}
	if err != nil {
		t.Skipf("loop devices cannot be mounted here: %v %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(d.Unmount)
	return d
}

// Unmount unmounts the disk. It need not be called.
func (d *Disk) Unmount() { unix.Unmount(d.Dir, unix.MNT_DETACH) }

// AfterPowerCut returns the disk as it would be found had the power gone now:
// what the image file holds, and nothing that is still in memory. Nobody may
// write to the disk meanwhile (stop the process first).
func (d *Disk) AfterPowerCut() *Disk {
	d.t.Helper()
	copied := filepath.Join(d.t.TempDir(), "disk.img")
	if out, err := exec.Command("cp", "--sparse=always", d.image, copied).CombinedOutput(); err != nil {
		d.t.Fatalf("copy the disk: %v\n%s", err, out)
	}
	return mount(d.t, copied)
}

// Remove unmounts the disk and removes its image, which a test that makes
// many would else keep until its end.
func (d *Disk) Remove() {
	d.Unmount()
	os.Remove(d.image)
}

func (d *Disk) filler() string { return filepath.Join(d.Dir, "filler") }

// Fill writes until not a byte more is taken.
func (d *Disk) Fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	junk := make([]byte, 1<<20)
	rand.Read(junk)
	for len(junk) > 0 { // smaller and smaller, to the last block
		if n, err := f.Write(junk); errors.Is(err, unix.ENOSPC) {
			junk = junk[:(len(junk)-n)/2]
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// FillFiles makes empty files until not one more is taken.
func (d *Disk) FillFiles() {
	d.t.Helper()
	if err := os.MkdirAll(d.filler()+"s", 0o700); err != nil {
		d.t.Fatal(err)
	}
	for n := 0; ; n++ {
		f, err := os.OpenFile(filepath.Join(d.filler()+"s", fmt.Sprint(n)), os.O_CREATE|os.O_WRONLY, 0o600)
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		if err != nil {
			d.t.Fatal(err)
		}
		f.Close()
	}
}

// Empty removes what Fill and FillFiles wrote.
func (d *Disk) Empty() {
	d.t.Helper()
	if err := errors.Join(os.RemoveAll(d.filler()), os.RemoveAll(d.filler()+"s")); err != nil {
		d.t.Fatal(err)
	}
}

// Free returns how many bytes and files the disk still takes.
func (d *Disk) Free() (bytes int64, files uint64) {
	d.t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.Dir, &s); err != nil {
		d.t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize, s.Ffree
}
