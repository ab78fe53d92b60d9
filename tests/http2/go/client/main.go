// Go's HTTP/2 client against our server; prints "ok NAME" or "FAIL NAME" for each thing it tries.
//
//	client URL [CA_FILE]     with a file: over TLS
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var failed bool

func check(name string, ok bool, detail any) {
	if ok {
		fmt.Println("ok " + name)
		return
	}
	failed = true
	fmt.Println("FAIL " + name)
	fmt.Fprintln(os.Stderr, name, detail)
}

func client(args []string) *http.Client {
	protocols := new(http.Protocols)
	if len(args) == 0 {
		protocols.SetUnencryptedHTTP2(true)
		return &http.Client{Transport: &http.Transport{Protocols: protocols}}
	}
	protocols.SetHTTP1(true) // the choice is the server's
	protocols.SetHTTP2(true)
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(args[0]); err != nil || !pool.AppendCertsFromPEM(pem) {
		panic(args[0])
	}
	trust := &tls.Config{RootCAs: pool}
	return &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: trust}}
}

func get(c *http.Client, url string) (string, string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.Proto, string(body), err
}

func main() {
	url := os.Args[1]
	c := client(os.Args[2:])
	proto, body, err := get(c, url+"/hello")
	check("is answered over HTTP/2.0", err == nil && proto == "HTTP/2.0" && body == "Hello, world\n", err)

	var wrong atomic.Int32
	var group sync.WaitGroup
	for i := 0; i < 64; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 20; n++ {
				if _, body, err := get(c, url+"/hello"); err != nil || body != "Hello, world\n" {
					wrong.Add(1)
				}
			}
		}()
	}
	group.Wait()
	check("has 64 streams at a time", wrong.Load() == 0, wrong.Load())

	big := bytes.Repeat([]byte("0123456789abcdef"), 200000)
	res, err := c.Post(url+"/echo", "application/octet-stream", bytes.NewReader(big))
	var back []byte
	if err == nil {
		back, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	check("gets 3 MB back", err == nil && bytes.Equal(big, back), err)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
	_, err = c.Do(req)
	check("gives up at its own deadline", errors.Is(err, context.DeadlineExceeded), err)

	_, body, err = get(c, url+"/hello")
	check("goes on after that", err == nil && body == "Hello, world\n", err)

	// The reset is written by a goroutine of its own: the connection stays until we are told that it has come.
	_, _ = io.Copy(io.Discard, os.Stdin)
	if failed {
		os.Exit(1)
	}
}
