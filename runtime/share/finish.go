package share

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// finishing is how long one scan may take for finish: files that wait come first.
const finishing = time.Second

// finish does with the files that have their result what the configuration
// says. all is false when there was not time for all of them. That they cannot
// be removed holds nothing else up: it is a state, and tried again at every
// scan.
func (w *Watcher) finish(ctx context.Context, files []entry) (all, online bool, err error) {
	w.keeps = nil
	began := time.Now()
	if w.o.Finished == Leave {
		return true, true, nil
	}
	for _, e := range files {
		if time.Since(began) > finishing {
			return false, true, nil
		}
		if !w.seen[e.name].done {
			continue
		}
		_, err := visit(ctx, &w.lane, func(alive pulse) (struct{}, error) {
			return struct{}{}, w.tree.finish(e, alive)
		}, func(struct{}) {})
		switch {
		case err == nil, errors.Is(err, errChanged): // it is gone, or is another file by now
		case errors.Is(err, errBusy), errors.Is(err, errNoFolder),
			errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
			w.keeps = cannotRemove(err)
			return true, true, nil
		case ctx.Err() != nil:
			return true, true, err
		default:
			w.seen = nil
			return true, false, fmt.Errorf("the share is offline: %w", plainly(err))
		}
	}
	return true, true, nil
}

// errNoFolder means that something else has the name of the folder set apart.
var errNoFolder = errors.New("what should be the folder for finished files is a file or a link; rename it")

// cannotRemove says it in a technician's words.
func cannotRemove(err error) error {
	switch {
	case errors.Is(err, errNoFolder):
		return errNoFolder
	case errors.Is(err, unix.EROFS):
		return errors.New("the share is read-only; mount it for writing, or set finished to leave")
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return errors.New("the share is full")
	}
	return errors.New("the service may not write there; give it the right to, or set finished to leave")
}

// finish removes a file that is still as the walk saw it, or moves it into the
// folder set apart, beneath the same folders as before. Nothing can close the
// moment between the look and the removal; a scanner that uses a name again
// within it has its file removed, so names on such a share must not be reused.
func (t tree) finish(e entry, alive pulse) error {
	root, err := t.open(alive)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if err := alive("open folder"); err != nil {
		return err
	}
	folder, name := path.Split(e.name)
	from, err := openBeneath(root, path.Clean(folder), unix.O_DIRECTORY)
	if err != nil {
		return ofFile(err)
	}
	defer unix.Close(from)
	if err := alive("stat"); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ofFile(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || sight(&st) != e.sighting {
		return errChanged
	}
	if t.apart == "" {
		if err := alive("remove"); err != nil {
			return err
		}
		return ofFile(unix.Unlinkat(from, name, 0))
	}
	to, err := makeBeneath(root, path.Join(t.apart, folder), alive)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return errNoFolder
	}
	if err != nil {
		return ofFile(err)
	}
	defer unix.Close(to)
	return ofFile(move(from, name, to, alive))
}

// move renames a file into another folder and takes no other file's place
// there: a second one of the same name gets a number.
func move(from int, name string, to int, alive pulse) error {
	stem, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	for n := 1; ; n++ {
		target := name
		if n > 1 {
			target = fmt.Sprintf("%s-%d%s", stem, n, ext)
		}
		if err := alive("move"); err != nil {
			return err
		}
		err := unix.Renameat2(from, name, to, target, unix.RENAME_NOREPLACE)
		// Some file systems do not know the flag (EINVAL), some kernels not the call.
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			var st unix.Stat_t
			if err = unix.Fstatat(to, target, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
				err = unix.EEXIST
			} else if errors.Is(err, unix.ENOENT) {
				err = unix.Renameat(from, name, to, target)
			}
		}
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}

// makeBeneath opens a folder beneath the root, and makes what is missing of it,
// without following links.
func makeBeneath(root int, folder string, alive pulse) (int, error) {
	made := ""
	for c := range strings.SplitSeq(folder, "/") {
		made = path.Join(made, c)
		if err := alive("make folder"); err != nil {
			return -1, err
		}
		parent, err := openBeneath(root, path.Dir(made), unix.O_DIRECTORY)
		if err != nil {
			return -1, err
		}
		err = unix.Mkdirat(parent, c, 0o775)
		unix.Close(parent)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, err
		}
	}
	return openBeneath(root, folder, unix.O_DIRECTORY)
}
