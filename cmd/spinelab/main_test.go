package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"spinebox/internal/scripttest"
	"spinebox/lab/study"
	"spinebox/models/modeltest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"spinelab": main})
}

// The scripts in testdata show each command from the outside: what a person
// types, and what comes back.
func TestScripts(t *testing.T) {
	model := modeltest.Tiny(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODEL", model)
			e.Setenv("TF_CPP_MIN_LOG_LEVEL", "1") // the library's chatter fills a failure's report
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scripttest.Exits, "plant": plant, "unnamed": unnamed,
		},
	})
}

// The configurations that make uses are ones that cv takes: six variants each.
func TestTheConfigurationsInDocs(t *testing.T) {
	for _, name := range []string{"../../docs/study/study.yaml", "../../docs/experiment/experiment.yaml"} {
		c, _, err := study.ReadConfig(name)
		if err != nil {
			t.Error(err)
		} else if n := len(c.All()); n != 6 {
			t.Errorf("%s has %d variants, want the paper's six", name, n)
		}
	}
}
