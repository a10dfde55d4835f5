package health

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"spinebox/internal/spine"
)

// metrics are what Prometheus reads. Labels hold names from the configuration
// and from model descriptions, stages and outcomes: nothing of an image.
type metrics struct {
	handler http.Handler
	stages  *prometheus.HistogramVec
}

// gauge is one number of the box's state.
type gauge struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	// of calls give with each value and its labels.
	of func(s spine.Status, give func(value float64, labels ...string))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func gauges() []gauge {
	one := func(value func(spine.Status) float64) func(spine.Status, func(float64, ...string)) {
		return func(s spine.Status, give func(float64, ...string)) { give(value(s)) }
	}
	return []gauge{
		{"spinebox_info", "1, with the program's version.", prometheus.GaugeValue, []string{"version"},
			func(s spine.Status, give func(float64, ...string)) { give(1, s.Version) }},
		{"spinebox_model_info", "1 for each model at work.", prometheus.GaugeValue, []string{"name", "version", "digest"},
			func(s spine.Status, give func(float64, ...string)) {
				for _, m := range s.Models {
					give(1, m.Name, m.Version, m.Digest)
				}
			}},
		{"spinebox_ready", "1 when a model is loaded and answers as it must.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return truth(s.Ready) })},
		{"spinebox_busy", "1 while an image is in hand.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return truth(s.Busy) })},
		{"spinebox_trouble", "1 when the box needs somebody.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return truth(s.Trouble != "") })},
		{"spinebox_known_answer_ok", "1 when the last picture with a known answer was answered so.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return truth(s.Check.Error == "" && !s.Check.At.IsZero()) })},
		{"spinebox_known_answer_time_seconds", "When a known answer was last asked for, in seconds since 1970; 0 for never.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 {
				if s.Check.At.IsZero() {
					return 0
				}
				return float64(s.Check.At.UnixMilli()) / 1000
			})},
		{"spinebox_results_total", "Results since the ledger began.", prometheus.CounterValue, []string{"outcome"},
			func(s spine.Status, give func(float64, ...string)) {
				give(float64(s.Classified), string(spine.Classified))
				give(float64(s.Refused), string(spine.Refused))
				give(float64(s.Failed), string(spine.Failed))
			}},
		{"spinebox_duplicates_total", "Files whose bytes were known, since the ledger began.", prometheus.CounterValue, nil,
			one(func(s spine.Status) float64 { return float64(s.Duplicates) })},
		{"spinebox_outbox_results", "Results without a receipt of the hub.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return float64(s.Outbox) })},
		{"spinebox_quarantine_files", "Files in quarantine.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return float64(s.Quarantine) })},
		{"spinebox_share_online", "1 when the share is there.", prometheus.GaugeValue, []string{"share"},
			func(s spine.Status, give func(float64, ...string)) {
				for name, share := range s.Shares {
					give(truth(share.Online), name)
				}
			}},
		{"spinebox_share_waiting_files", "Files of the share that have no result yet.", prometheus.GaugeValue, []string{"share"},
			func(s spine.Status, give func(float64, ...string)) {
				for name, share := range s.Shares {
					give(float64(share.Waiting), name)
				}
			}},
		{"spinebox_broker_online", "1 when the broker is there.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return truth(s.Broker.Online) })},
		{"spinebox_disk_free_bytes", "Free space on the data folder's disk.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return float64(s.Disk.Free) })},
		{"spinebox_disk_reserve_bytes", "Free space below which no files are taken in.", prometheus.GaugeValue, nil,
			one(func(s spine.Status) float64 { return float64(s.Disk.Reserve) })},
	}
}

// stagesName is the histogram of what each image took.
const stagesName = "spinebox_image_seconds"

// MetricNames returns the names of this program's own metrics.
func MetricNames() []string {
	names := []string{stagesName}
	for _, g := range gauges() {
		names = append(names, g.name)
	}
	return names
}

// newMetrics returns metrics that read the status each time they are asked for.
func newMetrics(status func() spine.Status) metrics {
	m := metrics{stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: stagesName, Help: "Seconds that an image took: to decode, in the network, for the heatmap, and from its copy to its result.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"stage"})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.stages, state{status, gauges()}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// Answered counts what an image took.
func (h *Health) Answered(t spine.Timings) {
	for stage, ms := range map[string]float64{"decode": t.Decode, "network": t.Infer, "heatmap": t.Explain, "total": t.Total} {
		h.metrics.stages.WithLabelValues(stage).Observe(ms / 1000)
	}
}

// state collects the gauges.
type state struct {
	status func() spine.Status
	gauges []gauge
}

func (c state) Describe(out chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		out <- g.desc()
	}
}

func (c state) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	for _, g := range c.gauges {
		g.of(s, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(g.desc(), g.kind, value, labels...)
		})
	}
}

func (g gauge) desc() *prometheus.Desc { return prometheus.NewDesc(g.name, g.help, g.labels, nil) }
