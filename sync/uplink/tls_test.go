package uplink_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/livetest"
)

// A mosquitto that wants certificates lets a box in that has one of its
// authority, and no other; the box talks to no broker of another authority.
func TestMosquittoWithClientCertificates(t *testing.T) {
	hospital, stranger := brokertest.NewAuthority(t), brokertest.NewAuthority(t)
	roots, others := hospital.Roots(), stranger.Roots()
	s := newSite(t)
	s.broker.Start(hospital.Lines()...)
	line := strings.Replace(s.broker.URL(), "tcp://", "tls://", 1)
	s.more(3)
	for what, config := range map[string]*tls.Config{
		"a box without a certificate":             {RootCAs: roots},
		"a box with a stranger's certificate":     {RootCAs: roots, Certificates: []tls.Certificate{stranger.Client()}},
		"a broker whose authority is not trusted": {RootCAs: others, Certificates: []tls.Certificate{hospital.Client()}},
	} {
		u := s.newUplink(line, config)
		stop := s.run(u.Run)
		livetest.Eventually(t, what+" is refused", func() bool { return u.State().Error != "" })
		if u.State().Online {
			t.Errorf("%s was let in", what)
		}
		stop()
	}
	u := s.newUplink(line, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{hospital.Client()}})
	s.run(u.Run)
	livetest.Eventually(t, "the box is connected", func() bool { return u.State().Online })
	if n := s.ledger.Outbox(); n != 3 {
		t.Errorf("%d results wait without a hub, want 3", n)
	}
}
