package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
)

// saying is a reader that gives the label.
func saying(l spine.Label) network {
	return func(context.Context, *spine.Picture) (*spine.Reading, error) {
		r := reading(0.9, 1)
		r.Label, r.Labels = l, []spine.Label{"other", l, "another"}
		r.Model.Name = "model-" + string(l)
		return r, nil
	}
}

func judgeOf(together bool, list ...Reader) Verdict {
	j := testJudge(xray, sure)
	j.readers = Readers{List: list, Together: together}
	v, _ := j.Judge(context.Background(), "x")
	return v
}

func TestTwoReadersMustAgree(t *testing.T) {
	for _, together := range []bool{false, true} {
		v := judgeOf(together, saying(spine.Normal), saying(spine.Normal))
		if v.Decision.Outcome != spine.Classified || v.Decision.Label != spine.Normal || len(v.Readings) != 2 {
			t.Errorf("two that agree end as %+v with %d readings", v.Decision, len(v.Readings))
		}
		v = judgeOf(together, saying(spine.Normal), saying(spine.Scoliosis))
		if v.Decision.Code != spine.ReadersDisagree || v.Decision.Label != "" || len(v.Readings) != 2 {
			t.Errorf("two that disagree end as %+v with %d readings", v.Decision, len(v.Readings))
		}
		for _, said := range []string{"model-normal says normal", "model-scoliosis says scoliosis"} {
			if !strings.Contains(v.Decision.Reason, said) {
				t.Errorf("the reason %q does not say who said what", v.Decision.Reason)
			}
		}
		if v.Readings[0].Label != spine.Normal || v.Readings[1].Label != spine.Scoliosis {
			t.Error("the readings are not in the readers' order")
		}
	}
}

func TestEachReaderHasItsOwnLimits(t *testing.T) {
	unsure := network(func(context.Context, *spine.Picture) (*spine.Reading, error) { return reading(0.5, 1), nil })
	strange := network(func(context.Context, *spine.Picture) (*spine.Reading, error) { return away(9, 0, 0), nil })
	broken := network(func(context.Context, *spine.Picture) (*spine.Reading, error) { return nil, errors.New("no memory") })
	panics := network(func(context.Context, *spine.Picture) (*spine.Reading, error) { panic("index") })
	for _, together := range []bool{false, true} {
		for _, c := range []struct {
			second Reader
			want   spine.Code
		}{{unsure, spine.LowConfidence}, {strange, spine.NotSpine}, {broken, spine.Internal}, {panics, spine.Internal}} {
			v := judgeOf(together, network(sure), c.second)
			if v.Decision.Code != c.want {
				t.Errorf("together %v: the second reader's refusal ends as %+v, want %s", together, v.Decision, c.want)
			}
			if c.want == spine.NotSpine && len(v.Readings) != 0 {
				t.Error("a picture of something else has readings")
			}
		}
	}
}

// slow is a reader that takes its time, and tells how many are at work.
type slow struct {
	network
	take    time.Duration
	working chan struct{} // its capacity is how many may be at work at once
}

func (s slow) Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error) {
	s.working <- struct{}{}
	time.Sleep(s.take)
	<-s.working
	return s.network.Read(ctx, p, m)
}

func TestTheFasterWayIsMeasured(t *testing.T) {
	p, _ := xray("")
	for _, room := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			working := make(chan struct{}, room)
			r := Readers{List: []Reader{slow{sure, time.Second, working}, slow{sure, time.Second, working}}}
			set, together, inTurn, err := r.Faster(t.Context(), p, explain.MethodGradCAM)
			if err != nil {
				t.Fatal(err)
			}
			if inTurn != 2*time.Second || together != 3*time.Second-time.Duration(room)*time.Second {
				t.Errorf("room for %d: together %s, in turn %s", room, together, inTurn)
			}
			if set.Together != (room == 2) {
				t.Errorf("room for %d: side by side is %v", room, set.Together)
			}
			readings, timings, err := set.Read(t.Context(), p, explain.MethodGradCAM)
			if want := map[int]float64{1: 40, 2: 20}[room]; err != nil || len(readings) != 2 || timings.Infer != want {
				t.Errorf("%d readings in %v ms (%v), want 2 in %v", len(readings), timings.Infer, err, want)
			}
		})
	}
	broken := network(func(context.Context, *spine.Picture) (*spine.Reading, error) { return nil, errors.New("no memory") })
	if _, _, _, err := (Readers{List: []Reader{network(sure), broken}}).Faster(t.Context(), p, explain.MethodGradCAM); err == nil {
		t.Error("a reader that fails is measured")
	}
}
