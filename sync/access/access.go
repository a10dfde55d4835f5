// Package access is what a broker lets somebody in by: an authority that both
// trust, a certificate, a password. Box and hub read the same files.
package access

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"spinebox/internal/regular"
)

// TLS returns the settings of an encrypted connection. Each file is PEM, and may
// be "": without ca the system's authorities are trusted, without cert nobody is
// shown who we are. They come into effect with a broker's tls:// address.
func TLS(ca, cert, key string) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := regular.Read(ca)
		if err != nil {
			return nil, fmt.Errorf("read the broker's authority: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
		}
	}
	if cert != "" {
		pair, err := keyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read our certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

func keyPair(cert, key string) (pair tls.Certificate, err error) {
	public, err := regular.Read(cert)
	if err != nil {
		return pair, err
	}
	private, err := regular.Read(key)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(public, private)
}

// Password returns the first line of a password file, which nobody but its owner
// may read; "" without a file.
func Password(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read the broker's password: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s may be read by others (mode %04o): run `chmod 600 %[1]s`", path, info.Mode().Perm())
	}
	text, err := regular.Read(path)
	if err != nil {
		return "", fmt.Errorf("read the broker's password: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
