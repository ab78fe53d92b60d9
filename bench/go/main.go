// Go's side of the benches: the same questions, asked of context, goroutines, channels and net/http.
// `go_bench NAME` prints one figure; `go_bench serve` is the server of http_hello, `go_bench echo` that of echo_….
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
	"sync"
	"time"
)

const rounds = 9
const roundTime = 30 * time.Millisecond

var parent, _ = context.WithCancel(context.Background())

type key int

func cancelChild(n int) {
	for ; n > 0; n-- {
		_, cancel := context.WithCancel(parent)
		cancel()
	}
}

func timeoutChild(n int) {
	for ; n > 0; n-- {
		_, cancel := context.WithTimeout(parent, time.Hour)
		cancel()
	}
}

func timeoutChildChecked(n int) {
	for ; n > 0; n-- {
		ctx, cancel := context.WithTimeout(parent, time.Hour)
		if ctx.Err() != nil {
			panic("done")
		}
		cancel()
	}
}

var sink int

func doneOpen(n int) {
	seen := 0
	for ; n > 0; n-- {
		if parent.Err() != nil {
			seen++
		}
	}
	sink += seen
}

func doneCancelled(n int) {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	seen := 0
	for ; n > 0; n-- {
		if ctx.Err() != nil {
			seen++
		}
	}
	sink += seen
}

func valueOnce(n int) {
	for ; n > 0; n-- {
		ctx := context.WithValue(parent, key(0), &sink)
		if ctx.Value(key(0)) == nil {
			panic("value")
		}
	}
}

func hundred() context.Context {
	ctx := parent
	for i := 0; i < 100; i++ {
		ctx = context.WithValue(ctx, key(i), &sink)
	}
	return ctx
}

func valueHit(n int) {
	ctx := hundred()
	for ; n > 0; n-- {
		if ctx.Value(key(0)) == nil {
			panic("value")
		}
	}
}

func valueMiss(n int) {
	ctx := hundred()
	for ; n > 0; n-- {
		if ctx.Value(key(1000)) != nil {
			panic("value")
		}
	}
}

func watch(n int) {
	for ; n > 0; n-- {
		stop := context.AfterFunc(parent, func() {})
		stop()
	}
}

func twoThreads(fn func(int)) func(int) {
	return func(n int) {
		var group sync.WaitGroup
		for i := 0; i < 2; i++ {
			group.Add(1)
			go func() { fn(n / 2); group.Done() }()
		}
		group.Wait()
	}
}

func fanOut(count, times int) float64 {
	var took time.Duration
	cancels := make([]context.CancelFunc, count)
	for t := 0; t < times; t++ {
		up, cancel := context.WithCancel(context.Background())
		for i := range cancels {
			_, cancels[i] = context.WithCancel(up)
		}
		from := time.Now()
		cancel()
		took += time.Since(from)
	}
	return float64(took.Nanoseconds()) / float64(times) / float64(count)
}

func depth(n int) {
	cancels := make([]context.CancelFunc, 1000)
	for ; n > 0; n-- {
		ctx := parent
		for i := range cancels {
			ctx, cancels[i] = context.WithCancel(ctx)
		}
		cancels[0]()
	}
}

func depthMillion() float64 {
	const count, times = 1000000, 3
	cancels := make([]context.CancelFunc, count)
	var took time.Duration
	for t := 0; t < times; t++ {
		ctx := parent
		for i := range cancels {
			ctx, cancels[i] = context.WithCancel(ctx)
		}
		from := time.Now()
		cancels[0]()
		took += time.Since(from)
		if ctx.Err() == nil {
			panic("open")
		}
	}
	return float64(took.Nanoseconds()) / times / count
}

// The question fits the channel's buffer, so waiting for the answer is the only park of this side.
func timeoutAsked(n int) {
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	defer close(there)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	for ; n > 0; n-- {
		ctx, cancel := context.WithTimeout(parent, time.Hour)
		if ctx.Err() != nil {
			panic("done")
		}
		sendOr(ctx, there, 7)
		recvOr(ctx, back)
		cancel()
	}
}

func p99(late []time.Duration) float64 {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	if late[0] < 0 {
		panic("early")
	}
	return float64(late[len(late)*99/100].Nanoseconds())
}

func lateIdle() float64 {
	late := make([]time.Duration, 400)
	for i := range late {
		due := time.Now().Add(time.Duration(2000+i*37%4000) * time.Microsecond)
		ctx, cancel := context.WithDeadline(parent, due)
		<-ctx.Done()
		late[i] = time.Since(due)
		cancel()
	}
	return p99(late)
}

func lateAtOnce() float64 {
	const count, times = 20000, 4
	late := make([]time.Duration, times*count)
	for t := 0; t < times; t++ {
		var group sync.WaitGroup
		due := time.Now().Add(700 * time.Millisecond)
		for i := t * count; i < (t+1)*count; i++ {
			ctx, cancel := context.WithDeadline(parent, due)
			group.Add(1)
			go func() {
				<-ctx.Done()
				late[i] = time.Since(due)
				cancel()
				group.Done()
			}()
		}
		group.Wait()
	}
	return p99(late[count:]) // the memory is there after the first time
}

func lateWatched() float64 {
	const count, times = 20000, 4
	late := make([]time.Duration, times*count)
	cancels := make([]context.CancelFunc, count)
	for t := 0; t < times; t++ {
		var group sync.WaitGroup
		group.Add(count)
		due := time.Now().Add(300 * time.Millisecond)
		for i := range cancels {
			var ctx context.Context
			ctx, cancels[i] = context.WithDeadline(parent, due)
			context.AfterFunc(ctx, func() {
				late[t*count+i] = time.Since(due)
				group.Done()
			})
		}
		group.Wait()
		for _, cancel := range cancels {
			cancel()
		}
	}
	return p99(late[count:])
}

func bytes(timeout bool) float64 {
	const count = 1000000
	cancels := make([]context.CancelFunc, count)
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range cancels {
		if timeout {
			_, cancels[i] = context.WithTimeout(parent, time.Hour)
		} else {
			_, cancels[i] = context.WithCancel(parent)
		}
	}
	used := float64(heap()-before) / count
	runtime.KeepAlive(cancels)
	return used
}

func spawn(n int) {
	for ; n > 0; n-- {
		var group sync.WaitGroup
		group.Add(1)
		go group.Done()
		group.Wait()
	}
}

func spawnBatch(n int) {
	for n > 0 {
		batch := min(n, 1000)
		n -= batch
		var group sync.WaitGroup
		group.Add(batch)
		for ; batch > 0; batch-- {
			go group.Done()
		}
		group.Wait()
	}
}

func yield(n int) {
	var both sync.WaitGroup
	both.Add(2)
	for t := 0; t < 2; t++ {
		go func() {
			for i := n/2 + 1; i > 0; i-- {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
}

func pingPong(n int) {
	there, back := make(chan uint64), make(chan uint64)
	count := n/2 + 1
	go func() {
		for i := 0; i < count; i++ {
			back <- <-there
		}
	}()
	for i := 0; i < count; i++ {
		there <- 7
		<-back
	}
}

func sendOr(ctx context.Context, c chan uint64, v uint64) {
	select {
	case c <- v:
	case <-ctx.Done():
		panic("done")
	}
}

func recvOr(ctx context.Context, c chan uint64) uint64 {
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		panic("done")
	}
}

func pingPongCtx(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	there, back := make(chan uint64), make(chan uint64)
	count := n/2 + 1
	go func() {
		for i := 0; i < count; i++ {
			sendOr(ctx, back, recvOr(ctx, there))
		}
	}()
	for i := 0; i < count; i++ {
		sendOr(ctx, there, 7)
		recvOr(ctx, back)
	}
}

func buffered(n int) {
	c := make(chan uint64, 128)
	done := make(chan bool)
	go func() {
		for i := 0; i < n; i++ {
			<-c
		}
		done <- true
	}()
	for i := 0; i < n; i++ {
		c <- 7
	}
	<-done
}

var benches = map[string]func(int){
	"ctx_cancel": cancelChild, "ctx_timeout": timeoutChild, "ctx_timeout_armed": timeoutChildChecked,
	"ctx_cancel_2t": twoThreads(cancelChild), "ctx_timeout_2t": twoThreads(timeoutChild),
	"ctx_done_open": doneOpen, "ctx_done_cancelled": doneCancelled,
	"ctx_value": valueOnce, "ctx_value_hit_100": valueHit, "ctx_value_miss_100": valueMiss,
	"ctx_watch": watch, "ctx_depth_1k": depth, "ctx_timeout_checked": timeoutAsked,
	"task_spawn": spawn, "task_spawn_batch": spawnBatch, "task_yield": yield,
	"chan_pingpong": pingPong, "chan_pingpong_ctx": pingPongCtx, "chan_buffered": buffered,
}

var values = map[string]func() float64{
	"ctx_fanout_1k":      func() float64 { fanOut(1000, 10); return fanOut(1000, 200) },
	"ctx_fanout_1m":      func() float64 { return fanOut(1000000, 3) },
	"ctx_depth_1m":       depthMillion,
	"ctx_late_idle":      lateIdle,
	"ctx_late_20k":       lateAtOnce,
	"ctx_late_20k_watch": lateWatched,
	"ctx_bytes":          func() float64 { return bytes(false) },
	"ctx_bytes_timeout":  func() float64 { return bytes(true) },
	"quit_read":          quitRead,
	"quit_disconnect":    quitDisconnect,
}

func measure(fn func(int)) float64 {
	n := 1
	var took time.Duration
	for ; ; n *= 2 {
		from := time.Now()
		fn(n)
		if took = time.Since(from); took > roundTime/4 {
			break
		}
	}
	n = int(float64(n)*float64(roundTime)/float64(took)) + 1
	var figures []float64
	for i := 0; i < rounds+1; i++ {
		from := time.Now()
		fn(n)
		figures = append(figures, float64(time.Since(from).Nanoseconds())/float64(n))
	}
	figures = figures[1:]
	sort.Float64s(figures)
	return figures[rounds/2]
}

const userIP key = 7

// Serves HTTP/1.1, or HTTP/2 without TLS (h2c).
func serve(h2c bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if ctx.Err() != nil {
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, world\n")
	}
	article := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		ctx = context.WithValue(ctx, userIP, "127.0.0.1")
		answers := make(chan string, 1)
		go func() {
			if ctx.Value(userIP) != nil {
				answers <- "Hello, world\n"
			}
		}()
		select {
		case <-ctx.Done():
		case answer := <-answers:
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, answer)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", handler)
	mux.HandleFunc("/article", article)
	server := &http.Server{Handler: mux}
	if h2c {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	go server.Serve(listener)
	io.Copy(io.Discard, os.Stdin)
}

func main() {
	if httpMode(os.Args[1:]) {
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go_bench NAME | version | serve | serve2 | echo | client … | proxy … | chain …")
		os.Exit(2)
	}
	name := os.Args[1]
	switch {
	case name == "version":
		fmt.Println(runtime.Version())
	case name == "serve":
		serve(false)
	case name == "serve2":
		serve(true)
	case name == "echo":
		echo()
	case benches[name] != nil:
		fmt.Printf("%.2f\n", measure(benches[name]))
	case values[name] != nil:
		fmt.Printf("%.2f\n", values[name]())
	default:
		os.Exit(3)
	}
}
