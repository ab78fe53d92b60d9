// Go's side of the benches of sockets: echo, and how soon work stops.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"time"
)

const quitRounds = 2000

// The server of echo_100 and echo_1000.
func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 1024)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					if _, err := conn.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

func median(took []time.Duration) float64 {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return float64(took[len(took)/2].Nanoseconds())
}

// As in Go's own example: the read's deadline is put into the past by a function of the context.
func readUntilDone(ctx context.Context, conn net.Conn, buf []byte) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Now())
		close(stopped)
	})
	_, err := conn.Read(buf)
	if !stop() {
		<-stopped
		conn.SetReadDeadline(time.Time{})
		return ctx.Err()
	}
	return err
}

func quitRead() float64 {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	took := make([]time.Duration, quitRounds)
	for i := range took {
		ctx, cancel := context.WithCancel(context.Background())
		returned := make(chan time.Time, 1)
		go func() {
			buf := make([]byte, 1)
			if readUntilDone(ctx, server, buf) != context.Canceled {
				panic("read")
			}
			returned <- time.Now()
		}()
		for k := 0; k < 100; k++ {
			runtime.Gosched()
		}
		from := time.Now()
		cancel()
		took[i] = (<-returned).Sub(from)
	}
	return median(took)
}

func quitDisconnect() float64 {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	waits, done := make(chan struct{}, 1), make(chan time.Time, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		waits <- struct{}{}
		<-r.Context().Done()
		done <- time.Now()
	}
	go http.Serve(listener, http.HandlerFunc(handler))
	took := make([]time.Duration, quitRounds)
	for i := range took {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			panic(err)
		}
		<-waits
		for k := 0; k < 100; k++ {
			runtime.Gosched()
		}
		from := time.Now()
		client.Close()
		took[i] = (<-done).Sub(from)
	}
	return median(took)
}
