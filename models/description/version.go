package description

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// RunsOn returns an error when the model needs a newer spinebox than the one
// with this version. A version that is no release's (a build by hand) is taken
// for the newest.
func (m *Model) RunsOn(version string) error {
	if m.MinimumSpinebox == "" {
		return nil
	}
	least := "v" + strings.TrimPrefix(m.MinimumSpinebox, "v")
	if !semver.IsValid(least) {
		return fmt.Errorf("minimum_spinebox %q is no version such as 0.1.0", m.MinimumSpinebox)
	}
	// `git describe` calls what follows release 1.2.0 v1.2.0-3-gabcdef0, which
	// for semantic versions would come before it.
	release, _, _ := strings.Cut("v"+strings.TrimPrefix(version, "v"), "-")
	if semver.IsValid(release) && semver.Compare(release, least) < 0 {
		return fmt.Errorf("the model %s %s needs spinebox %s or newer, and this is %s", m.Name, m.Version, m.MinimumSpinebox, version)
	}
	return nil
}
