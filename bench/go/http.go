// http.go: Go's side of client_hello, proxy_hello and quit_chain.
//
//	go_bench client PORT CALLERS REQUESTS    CPU time of this process for one request, ns
//	go_bench proxy PORT                      a reverse proxy to that port; prints its own
//	go_bench chain [PORT OF THE NEXT]        as tests/http/chain_server.c
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func transport() *http.Transport {
	return &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 64, DisableCompression: true}
}

func clock(id uintptr) int64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func runClients(client *http.Client, address string, callers int, requests int64) {
	var wait sync.WaitGroup
	left := requests
	for i := 0; i < callers; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for atomic.AddInt64(&left, -1) >= 0 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				req, _ := http.NewRequestWithContext(ctx, "GET", address, nil)
				res, err := client.Do(req)
				if err != nil {
					fmt.Fprintln(os.Stderr, "client:", err)
					os.Exit(1)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				cancel()
				if err != nil || res.StatusCode != 200 || len(body) != 13 {
					fmt.Fprintln(os.Stderr, "client:", err, res.StatusCode)
					os.Exit(1)
				}
			}
		}()
	}
	wait.Wait()
}

func clientHello(port string, callers int, requests int64) {
	const processCPU = 2
	client := &http.Client{Transport: transport()}
	address := "http://127.0.0.1:" + port + "/"
	runClients(client, address, callers, requests/10+1)
	before := clock(processCPU)
	runClients(client, address, callers, requests)
	fmt.Printf("%.1f\n", float64(clock(processCPU)-before)/float64(requests))
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	return l
}

func proxyHello(port string) {
	upstream, _ := url.Parse("http://127.0.0.1:" + port)
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.Transport = transport()
	go http.Serve(listen(), proxy)
	io.Copy(io.Discard, os.Stdin)
}

func chain(next string) {
	const monotonic = 1
	client := &http.Client{Transport: transport()}
	handler := func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("in")
		if next == "" {
			<-r.Context().Done()
		} else {
			req, _ := http.NewRequestWithContext(r.Context(), "GET", "http://127.0.0.1:"+next+"/", nil)
			if res, err := client.Do(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
		fmt.Println("end", clock(monotonic))
	}
	go http.Serve(listen(), http.HandlerFunc(handler))
	io.Copy(io.Discard, os.Stdin)
}

// httpMode runs one of the above; false: it is none of them.
func httpMode(args []string) bool {
	switch {
	case len(args) == 4 && args[0] == "client":
		callers, _ := strconv.Atoi(args[2])
		requests, _ := strconv.ParseInt(args[3], 10, 64)
		clientHello(args[1], callers, requests)
	case len(args) == 2 && args[0] == "proxy":
		proxyHello(args[1])
	case len(args) == 1 && args[0] == "chain":
		chain("")
	case len(args) == 2 && args[0] == "chain":
		chain(args[1])
	default:
		return false
	}
	return true
}
