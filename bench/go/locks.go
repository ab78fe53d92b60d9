// Locks of package sync; a semaphore is a channel of tokens. See lock.c, whose loops these are.
package main

import (
	"runtime"
	"sync"
)

func init() {
	benches["lock_mutex"] = mutexFree
	benches["lock_mutex_wanted"] = mutexWanted
	benches["lock_semaphore"] = semaphore
	benches["lock_wait_group"] = waitGroup
	benches["lock_once"] = onceDone
}

var theMutex sync.Mutex

func mutexFree(n int) {
	for ; n > 0; n-- {
		theMutex.Lock()
		theMutex.Unlock()
	}
}

func mutexWanted(n int) {
	const tasks = 8
	var all sync.WaitGroup
	for i := 0; i < tasks; i++ {
		all.Add(1)
		go func() {
			for k := n/tasks + 1; k > 0; k-- {
				theMutex.Lock()
				runtime.Gosched()
				theMutex.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
}

var tokens = make(chan struct{}, 8)

func semaphore(n int) {
	for ; n > 0; n-- {
		tokens <- struct{}{}
		<-tokens
	}
}

func waitGroup(n int) {
	var all sync.WaitGroup
	for ; n > 0; n-- {
		all.Add(1)
		all.Done()
		all.Wait()
	}
}

func onceDone(n int) {
	var once sync.Once
	for ; n > 0; n-- {
		once.Do(func() {})
	}
}
