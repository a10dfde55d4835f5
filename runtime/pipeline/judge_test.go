package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
)

// decoder and network are what a test's judge works with.
type decoder func(path string) (*spine.Picture, error)

func (d decoder) Decode(_ context.Context, path string) (*spine.Picture, error) { return d(path) }

type network func(ctx context.Context, p *spine.Picture) (*spine.Reading, error)

func (n network) Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error) {
	r, err := n(ctx, p)
	return r, spine.Timings{Infer: 20, Explain: 1}, err
}

func (network) Thresholds() description.Thresholds {
	return description.Thresholds{Confidence: 0.6, Picture: 3, Features: 2, Outside: 0.5}
}

func xray(path string) (*spine.Picture, error) {
	p := &spine.Picture{Width: 200, Height: 400, Pix: make([]float32, 200*400)}
	for i := range p.Pix {
		p.Pix[i] = float32(i%200) / 200
	}
	return p, nil
}

func sure(context.Context, *spine.Picture) (*spine.Reading, error) { return reading(0.9, 1), nil }

// reading is one that calls the picture scoliosis.
func reading(probability float64, heatmapMax float32) *spine.Reading {
	return &spine.Reading{
		Model:  spine.ModelID{Name: "test", Version: "1", Digest: strings.Repeat("ab", 32)},
		Labels: spine.Labels(), Label: spine.Scoliosis, Method: "gradcam",
		Probabilities: []float64{(1 - probability) / 2, probability, (1 - probability) / 2},
		Heatmap: &spine.Heatmap{Width: 2, Height: 2, Values: []float32{0, heatmapMax, 0, 0}, Max: heatmapMax,
			Content: spine.Rect{X1: 1, Y1: 1}},
	}
}

// away is a sure reading of a picture with these distances.
func away(picture, features, outside float64) *spine.Reading {
	r := reading(0.9, 1)
	r.Distance, r.Outside = spine.Distance{Picture: picture, Features: features}, outside
	return r
}

func testJudge(decode decoder, read network) *Judge {
	return NewJudge(decode.Decode, Readers{List: []Reader{read}}, Rules{
		Gate:   gate.Rules{MaxHues: 0.2, MinSide: 96, MaxShape: 12, MinContrast: 2.0 / 255},
		Method: explain.MethodGradCAM,
		Limit:  time.Minute,
	}, slog.New(slog.DiscardHandler))
}

func TestEveryPictureGetsTheVerdictThatItDeserves(t *testing.T) {
	picture := func(change func(*spine.Picture)) decoder {
		return func(path string) (*spine.Picture, error) {
			p, _ := xray(path)
			change(p)
			return p, nil
		}
	}
	answer := func(r *spine.Reading, err error) network {
		return func(context.Context, *spine.Picture) (*spine.Reading, error) { return r, err }
	}
	cases := map[string]struct {
		decode decoder
		read   network
		want   spine.Code // "" is classified
	}{
		"a sure answer":            {xray, sure, ""},
		"one grey":                 {picture(func(p *spine.Picture) { clear(p.Pix) }), sure, spine.NotXray},
		"a few specks on one grey": {picture(func(p *spine.Picture) { clear(p.Pix); p.Pix[0], p.Pix[777] = 1, 1 }), sure, spine.NotXray},
		"a strip": {picture(func(p *spine.Picture) {
			p.Width, p.Height, p.Pix = 100, 1201, slices.Repeat([]float32{0, 0.5, 1, 0.2}, 100*1201/4)
		}), sure, spine.NotXray},
		"exactly the least confidence":   {xray, answer(reading(0.6, 1), nil), ""},
		"below the least confidence":     {xray, answer(reading(0.59, 1), nil), spine.LowConfidence},
		"an empty heatmap":               {xray, answer(reading(0.9, 0), nil), spine.HeatmapEmpty},
		"a heatmap that is no number":    {xray, answer(reading(0.9, float32(math.NaN())), nil), spine.Internal},
		"a probability that is none":     {xray, answer(reading(math.NaN(), 1), nil), spine.Internal},
		"exactly the greatest distances": {xray, answer(away(3, 2, 0.5), nil), ""},
		"a strange picture":              {xray, answer(away(3.1, 0, 0), nil), spine.NotSpine},
		"strange features":               {xray, answer(away(0, 2.1, 0), nil), spine.NotSpine},
		"a distance that is no number":   {xray, answer(away(0, math.NaN(), 0), nil), spine.NotSpine},
		"a heatmap off the body":         {xray, answer(away(0, 0, 0.51), nil), spine.HeatmapOff},
		"one tint":                       {picture(func(p *spine.Picture) { p.Facts.Hues = 0.2 }), sure, ""},
		"many colours":                   {picture(func(p *spine.Picture) { p.Facts.Hues = 0.21 }), sure, spine.NotXray},
		"the smallest picture":           {picture(func(p *spine.Picture) { p.Width = 96 }), sure, ""},
		"a narrower one":                 {picture(func(p *spine.Picture) { p.Width = 95 }), sure, spine.TooSmall},
		"a shorter one":                  {picture(func(p *spine.Picture) { p.Height = 95 }), sure, spine.TooSmall},
		"a file that is damaged":         {func(string) (*spine.Picture, error) { return nil, spine.Faultf(spine.Corrupt, "cut") }, sure, spine.Corrupt},
		"a file of another kind":         {func(string) (*spine.Picture, error) { return nil, spine.Faultf(spine.Unsupported, "GIF") }, sure, spine.Unsupported},
		"a disk that does not read":      {func(string) (*spine.Picture, error) { return nil, errors.New("input/output error") }, sure, spine.Internal},
		"a decoder that panics":          {func(string) (*spine.Picture, error) { panic("index out of range") }, sure, spine.Internal},
		"a network that errs":            {xray, answer(nil, errors.New("out of memory")), spine.Internal},
		"a network that objects":         {xray, answer(nil, spine.Faultf(spine.NotSpine, "a hand")), spine.NotSpine},
		"a network that panics":          {xray, func(context.Context, *spine.Picture) (*spine.Reading, error) { panic("nil map") }, spine.Internal},
		"a network that runs out":        {xray, answer(nil, context.DeadlineExceeded), spine.Timeout},
		"a network that gives no value":  {xray, answer(nil, nil), spine.Internal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v, err := testJudge(c.decode, c.read).Judge(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			if v.Decision.Code != c.want || v.Decision.Outcome != c.want.Outcome() {
				t.Errorf("the verdict is %+v, want %q", v.Decision, c.want)
			}
			if (v.Decision.Label != "") != (c.want == "") {
				t.Errorf("a verdict of %q comes with label %q", v.Decision.Code, v.Decision.Label)
			}
			if c.want != "" && v.Decision.Reason == "" {
				t.Error("nobody is told why")
			}
		})
	}
}

func TestAModelWithoutExplanationAnswersWithoutAHeatmap(t *testing.T) {
	v, err := testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
		r := reading(0.9, 1)
		r.Heatmap, r.Method = nil, ""
		return r, nil
	}).Judge(t.Context(), "x")
	if err != nil || v.Decision.Outcome != spine.Classified {
		t.Errorf("the verdict is %+v (%v)", v.Decision, err)
	}
}

// Images that are given up stay among those that the network reads.
func TestALateAnswerIsATimeoutAndTheNextImageWaitsForItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var running atomic.Int32
		j := testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
			if running.Add(1) > abreast {
				t.Error("the network was asked while it was still at work")
			}
			<-release
			running.Add(-1)
			return reading(0.9, 1), nil
		})
		began := time.Now()
		late := make(chan Verdict)
		for range abreast {
			go func() { v, _ := j.Judge(t.Context(), "slow"); late <- v }()
		}
		for range abreast {
			if v := <-late; v.Decision.Code != spine.Timeout {
				t.Errorf("the verdict is %+v, want a timeout", v.Decision)
			}
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the timeout came after %s, want the limit", took)
		}

		// Whoever comes next waits, for as long as it takes or until told to stop.
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err := j.Judge(ctx, "next"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the next image did not wait: %v", err)
		}
		close(release)
		if v, err := j.Judge(t.Context(), "next"); err != nil || v.Decision.Outcome != spine.Classified {
			t.Errorf("the next image got %+v (%v)", v.Decision, err)
		}
	})
}

// holds is a network that reads until it is told to end, and counts.
type holds struct {
	end    chan struct{}
	inside atomic.Int32
}

func (h *holds) read(context.Context, *spine.Picture) (*spine.Reading, error) {
	h.inside.Add(1)
	<-h.end
	h.inside.Add(-1)
	return reading(0.9, 1), nil
}

// The next image is decoded while the network reads two, and no further one until
// that has its turn in the network.
func TestTheNextImageIsDecodedWhileOthersAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decoded, network := make(chan string, 9), &holds{end: make(chan struct{})}
		j := testJudge(func(path string) (*spine.Picture, error) {
			decoded <- path
			return xray(path)
		}, network.read)
		answers := make(chan Verdict)
		for _, path := range []string{"a", "b", "c", "d"} {
			go func() {
				v, _ := j.Judge(t.Context(), path)
				answers <- v
			}()
		}
		for _, want := range []struct{ decoded, read int }{{3, 2}, {4, 2}, {4, 2}, {4, 1}} {
			synctest.Wait()
			if n, inside := len(decoded), int(network.inside.Load()); n != want.decoded || inside != want.read {
				t.Errorf("%d images are decoded while %d are read; want %d and %d", n, inside, want.decoded, want.read)
			}
			network.end <- struct{}{}
			if v := <-answers; v.Decision.Outcome != spine.Classified {
				t.Errorf("an image got %+v", v.Decision)
			}
		}
	})
}

// An image that is to be read alone waits until nobody else is read, and nobody
// else is read beside it.
func TestAnImageIsReadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &holds{end: make(chan struct{})}
		j := testJudge(xray, network.read)
		answers := make(chan Verdict)
		judge := func(alone bool) {
			go func() {
				v, _ := j.judge(t.Context(), "x", alone, func() func() { return func() {} })
				answers <- v
			}()
			synctest.Wait()
		}
		judge(false)
		for step, alone := range []bool{true, true, false} {
			judge(alone)
			if n := network.inside.Load(); n != 1 {
				t.Errorf("step %d: %d images are read, one of them alone", step, n)
			}
			network.end <- struct{}{}
			if v := <-answers; v.Decision.Outcome != spine.Classified {
				t.Errorf("step %d: an image got %+v", step, v.Decision)
			}
			synctest.Wait()
		}
		judge(false)
		if n := network.inside.Load(); n != abreast {
			t.Errorf("after those that were read alone, %d are read at once", n)
		}
		for range abreast {
			network.end <- struct{}{}
			<-answers
		}
	})
}

// fill takes every turn, and waits for those that are taken. leave gives them back.
func fill(t turn) (leave func()) {
	for range cap(t) {
		t <- struct{}{}
	}
	return func() {
		for range cap(t) {
			t.give()
		}
	}
}

// Waiting for the network is not the image's own time; decoding is.
func TestTheLimitIsForBothStagesAndNotForWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seconds := map[string]time.Duration{"first": 0, "next": 31, "slow": 35}
		j := testJudge(func(path string) (*spine.Picture, error) {
			time.Sleep(seconds[path] * time.Second) // of the bubble's clock
			return xray(path)
		}, func(context.Context, *spine.Picture) (*spine.Reading, error) {
			time.Sleep(28 * time.Second)
			return reading(0.9, 1), nil
		})
		answers := make(chan Verdict)
		judge := func(path string) { v, _ := j.Judge(t.Context(), path); answers <- v }
		leave := fill(j.reading) // others hold the network for ten minutes
		go judge("next")
		time.Sleep(10 * time.Minute)
		leave()
		if v := <-answers; v.Decision.Outcome != spine.Classified {
			t.Errorf("31 s of decoding, minutes of waiting and 28 s of reading end as %+v", v.Decision)
		}
		go judge("slow")
		if v := <-answers; v.Decision.Code != spine.Timeout || v.Picture == nil {
			t.Errorf("35 s of decoding and 28 s of reading end as %+v", v.Decision)
		}
		fill(j.reading) // the straggler gives its turn back at its end
	})
}

// A decoder that never comes back holds up decoding, and no picture that is
// decoded already.
func TestAStragglerKeepsTheTokenOfItsStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		j := testJudge(func(path string) (*spine.Picture, error) {
			if path == "stuck" {
				<-release
			}
			return xray(path)
		}, sure)
		if v, err := j.Judge(t.Context(), "stuck"); err != nil || v.Decision.Code != spine.Timeout {
			t.Errorf("the stuck one got %+v (%v)", v.Decision, err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err := j.Judge(ctx, "next"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second file was decoded beside the stuck one: %v", err)
		}
		if len(j.reading) != 0 {
			t.Error("the network is held by an image that was never decoded")
		}
	})
}

// When the box stops, an image that waits for the network is left for the next
// start: it may wait for ever.
func TestAnImageThatWaitsForTheNetworkIsLeftWhenTheBoxStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJudge(xray, sure)
		leave := fill(j.reading)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { _, err := j.Judge(ctx, "x"); ended <- err }()
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		leave()
		if v, err := j.Judge(t.Context(), "x"); err != nil || v.Decision.Outcome != spine.Classified {
			t.Errorf("the next one got %+v (%v)", v.Decision, err)
		}
	})
}

func TestAnImageInHandIsFinishedWhenTheBoxStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	v, err := testJudge(xray, func(inner context.Context, _ *spine.Picture) (*spine.Reading, error) {
		stop()
		return reading(0.9, 1), inner.Err()
	}).Judge(ctx, "x")
	if err != nil || v.Decision.Outcome != spine.Classified {
		t.Errorf("the image in hand got %+v (%v)", v.Decision, err)
	}
}
