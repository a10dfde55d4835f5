package uplink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate; the first one signs itself.
func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: template.SerialNumber.String()} // of its own: an issuer of the same name would be itself
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) client() tls.Certificate {
	cert, key := a.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// files writes what a broker needs and returns its configuration.
func (a *authority) files() []string {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	lines := []string{"require_certificate true"}
	for name, block := range map[string]*pem.Block{
		"cafile": {Type: "CERTIFICATE", Bytes: a.cert.Raw}, "certfile": {Type: "CERTIFICATE", Bytes: cert.Raw},
		"keyfile": {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			a.t.Fatal(err)
		}
		lines = append(lines, name+" "+path)
	}
	if os.Geteuid() == 0 { // else it becomes somebody who may not read a test's folder
		lines = append(lines, "user root")
	}
	return lines
}

// A mosquitto that wants certificates lets a box in that has one of its
// authority, and no other; the box talks to no broker of another authority.
func TestMosquittoWithClientCertificates(t *testing.T) {
	hospital, stranger := newAuthority(t), newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(hospital.cert)
	others := x509.NewCertPool()
	others.AddCert(stranger.cert)
	s := newSite(t)
	s.broker.Start(hospital.files()...)
	line := strings.Replace(s.broker.URL(), "tcp://", "tls://", 1)
	s.more(3)
	for what, config := range map[string]*tls.Config{
		"a box without a certificate":             {RootCAs: roots},
		"a box with a stranger's certificate":     {RootCAs: roots, Certificates: []tls.Certificate{stranger.client()}},
		"a broker whose authority is not trusted": {RootCAs: others, Certificates: []tls.Certificate{hospital.client()}},
	} {
		u := s.newUplink(line, config)
		stop := s.run(u.Run)
		eventually(t, what+" is refused", func() bool { return u.State().Error != "" })
		if u.State().Online {
			t.Errorf("%s was let in", what)
		}
		stop()
	}
	u := s.newUplink(line, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{hospital.client()}})
	s.run(u.Run)
	eventually(t, "the box is connected", func() bool { return u.State().Online })
	if n := s.ledger.Outbox(); n != 3 {
		t.Errorf("%d results wait without a hub, want 3", n)
	}
}
