package share

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The box's own folders are left alone wherever they turn up: with finished:
// delete it would remove its own ledger.
func TestTheBoxNeverTakesItsOwnFiles(t *testing.T) {
	r := newRig(t)
	data := filepath.Join(r.root, "export/box")
	own := filepath.Join(data, "ledger/000001.vlog")
	r.write("export/box/ledger/000001.vlog", "ledger end")
	r.write("export/a.dcm", "picture end")
	r.restart(func(o *Options) { o.Finished, o.Own = Delete, []string{data, filepath.Join(data, "not yet")} })
	r.scans(4)
	r.want("picture end")
	r.must(exists(own))
	if got := strings.Count(r.log.String(), "a folder of the box's own"); got != 1 {
		t.Errorf("%d notes about one folder:\n%s", got, r.log)
	}

	// A link, or a mount, makes the share one of them; then it is no share.
	away := r.root + ".away"
	r.must(os.Rename(r.root, away))
	r.must(os.Symlink(filepath.Join(away, "export/box"), r.root))
	r.restart(func(o *Options) { o.Finished, o.Own = Delete, []string{filepath.Join(away, "export/box")} })
	if err := r.scan(); err == nil || r.Status().Online || !strings.Contains(r.Status().Error, "its folder is one of the box's own; give the folder") {
		t.Errorf("scan: %v, status %+v", err, r.Status())
	}
}

// A mount has another path than the folder that it shows.
func TestTheBoxNeverTakesItsOwnFilesThroughAMount(t *testing.T) {
	canMount(t)
	data := t.TempDir()
	own := filepath.Join(data, "ledger")
	r := newRig(t, func(o *Options) { o.Finished, o.Own = Delete, []string{data} })
	r.must(os.WriteFile(own, []byte("ledger end"), 0o600))
	r.write("a.dcm", "picture end")
	mounted := filepath.Join(r.root, "mounted")
	r.must(os.Mkdir(mounted, 0o755))
	r.must(unix.Mount(data, mounted, "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(mounted, unix.MNT_DETACH) })
	r.scans(4)
	r.want("picture end")
	r.must(exists(own))
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}
