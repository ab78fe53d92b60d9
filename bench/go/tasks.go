// Goroutines and channels at scale, and how long a cancel takes to reach one. See task_many.c and
// task_wake.c, whose loops these are.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func init() {
	benches["select_4"] = selectFour
	benches["chan_pingpong_2w"] = pingPongThreads
	values["task_bytes_1m"] = bytesMillion
	values["task_spawn_1m"] = spawnMillion
	values["cancel_100k"] = func() float64 { _, done := cancelMany(100000, 5); return done / 1e6 }
	values["cancel_1m"] = func() float64 { call, _ := cancelMany(1000000, 1); return call / 1e6 }
	values["cancel_1m_done"] = func() float64 { _, done := cancelMany(1000000, 1); return done / 1e6 }
	values["cancel_wake"] = wakeHere
	values["cancel_wake_other"] = func() float64 { return wakeElsewhere(20000, spinGap) }
	values["cancel_wake_other_idle"] = func() float64 { return wakeElsewhere(1000, sleepGap) }
}

// Each goroutine keeps its thread, so every message goes from one thread to another.
func pingPongThreads(n int) {
	there, back := make(chan uint64), make(chan uint64)
	count := n/2 + 1
	go func() {
		runtime.LockOSThread()
		for i := 0; i < count; i++ {
			back <- <-there
		}
	}()
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		for i := 0; i < count; i++ {
			there <- 7
			<-back
		}
		done <- true
	}()
	<-done
}

func selectFour(n int) {
	a, b, c, d := make(chan uint64), make(chan uint64), make(chan uint64), make(chan uint64)
	go func() {
		all := [4]chan uint64{a, b, c, d}
		for i := 0; i < n; i++ {
			all[i&3] <- 7
		}
	}()
	for i := 0; i < n; i++ {
		select {
		case <-a:
		case <-b:
		case <-c:
		case <-d:
		}
	}
}

// ---- many -----------------------------------------------------------------------------------------

type crowd struct {
	ctx      context.Context
	cancel   context.CancelFunc
	parked   atomic.Int64
	returned sync.WaitGroup
}

func newCrowd(n int) *crowd {
	c := &crowd{}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.returned.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			c.parked.Add(1)
			<-c.ctx.Done()
			c.returned.Done()
		}()
	}
	for c.parked.Load() < int64(n) {
		runtime.Gosched()
	}
	return c
}

// Resident memory and page tables of this process, in bytes.
func footprint() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	sum := 0.0
	for _, line := range strings.Split(string(status), "\n") {
		var kib float64
		for _, name := range []string{"VmRSS:", "VmPTE:"} {
			if strings.HasPrefix(line, name) {
				fmt.Sscanf(line[len(name):], "%f", &kib)
				sum += kib * 1024
			}
		}
	}
	return sum
}

func bytesMillion() float64 {
	const n = 1000000
	before := footprint()
	c := newCrowd(n)
	used := (footprint() - before) / n
	c.cancel()
	return used
}

func spawnMillion() float64 {
	const n = 1000000
	from := time.Now()
	c := newCrowd(n)
	took := time.Since(from)
	c.cancel()
	return float64(took.Nanoseconds()) / n
}

// The medians of the call alone, and of the time until all have returned, in ns.
func cancelMany(n, times int) (call, done float64) {
	var calls, dones []float64
	for t := 0; t < times; t++ {
		c := newCrowd(n)
		from := time.Now()
		c.cancel()
		calls = append(calls, float64(time.Since(from).Nanoseconds()))
		c.returned.Wait()
		dones = append(dones, float64(time.Since(from).Nanoseconds()))
	}
	sort.Float64s(calls)
	sort.Float64s(dones)
	return calls[times/2], dones[times/2]
}

// ---- one ------------------------------------------------------------------------------------------

func p50(took []time.Duration) float64 {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return float64(took[len(took)/2].Nanoseconds())
}

func wakeHere() float64 {
	took := make([]time.Duration, 20000)
	ack := make(chan time.Time)
	for i := range took {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			ack <- time.Time{}
			<-ctx.Done()
			now := time.Now()
			ack <- now
		}()
		<-ack
		runtime.Gosched()
		from := time.Now()
		cancel()
		took[i] = (<-ack).Sub(from)
	}
	return p50(took)
}

func spinGap() {
	for from := time.Now(); time.Since(from) < 10*time.Microsecond; {
	}
}

func sleepGap() {
	time.Sleep(time.Millisecond)
}

// The canceller stays on its thread and looks for the answer, so who is woken runs on another.
func wakeElsewhere(n int, gap func()) float64 {
	took := make([]time.Duration, n)
	next := make(chan context.Context)
	var ran atomic.Int64
	var ready atomic.Bool
	go func() {
		for ctx := range next {
			ready.Store(true)
			<-ctx.Done()
			ran.Store(int64(time.Since(start)))
		}
	}()
	for i := range took {
		ctx, cancel := context.WithCancel(context.Background())
		next <- ctx
		for !ready.Load() {
			runtime.Gosched()
		}
		gap()
		from := time.Since(start)
		cancel()
		for ran.Load() == 0 {
		}
		took[i] = time.Duration(ran.Load()) - from
		ran.Store(0)
		ready.Store(false)
	}
	close(next)
	return p50(took)
}

var start = time.Now()
