// Go's HTTP/2 server for our client (peer_client.c says what it asks for): prints its address, then a line for each
// request that was given up, and ends when it has been asked to stop and everything is answered.
//
//	server [CERTIFICATE_FILE KEY_FILE]     with files: over TLS
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func hello(w http.ResponseWriter, r *http.Request) {
	if r.Proto != "HTTP/2.0" {
		w.WriteHeader(http.StatusBadRequest)
	}
	io.WriteString(w, "Hello, world\n")
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "End")
	buf := make([]byte, 8192)
	for {
		n, err := r.Body.Read(buf)
		w.Write(buf[:n])
		if err != nil {
			break
		}
	}
	w.Header().Set("End", "yes")
}

func fields(w http.ResponseWriter, r *http.Request) {
	h := r.Header
	fmt.Fprintf(w, "%s %s %s %s", h.Get("traceparent"), h.Get("tracestate"), h.Get("baggage"),
		h.Get("x-request-timeout-ms"))
}

func wait(w http.ResponseWriter, r *http.Request) {
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	fmt.Println("given up: " + r.URL.Path)
}

func abort(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "some")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	mux := http.NewServeMux()
	server := &http.Server{Handler: mux, Protocols: protocols}
	stopping, stopped := make(chan bool), make(chan bool)
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/fields", fields)
	mux.HandleFunc("/wait", wait)
	mux.HandleFunc("/abort", abort)
	mux.HandleFunc("/stop", func(w http.ResponseWriter, r *http.Request) {
		server.RegisterOnShutdown(func() { close(stopping) })
		go func() {
			server.Shutdown(context.Background())
			close(stopped)
		}()
		<-stopping
		io.WriteString(w, "stopping\n")
	})
	fmt.Println(listener.Addr())
	if len(os.Args) == 3 {
		err = server.ServeTLS(listener, os.Args[1], os.Args[2])
	} else {
		err = server.Serve(listener)
	}
	if err != http.ErrServerClosed {
		panic(err)
	}
	<-stopped // everything is answered, and the client has closed the connection
}
