// The nine benchmarks of Go's own context/benchmark_test.go, as they are there, without package
// testing: b.N comes from measure(), b.RunParallel is parallel().
package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

func parallel(n int, body func(n int)) {
	var group sync.WaitGroup
	procs := runtime.GOMAXPROCS(0)
	for i := 0; i < procs; i++ {
		group.Add(1)
		go func() { defer group.Done(); body(n/procs + 1) }()
	}
	group.Wait()
}

func commonParentCancel(n int) {
	root := context.WithValue(context.Background(), "key", "value")
	shared, sharedcancel := context.WithCancel(root)
	defer sharedcancel()
	parallel(n, func(n int) {
		x := 0
		for ; n > 0; n-- {
			ctx, cancel := context.WithCancel(shared)
			if ctx.Value("key").(string) != "value" {
				panic("should not be reached")
			}
			for i := 0; i < 100; i++ {
				x /= x + 1
			}
			cancel()
			for i := 0; i < 100; i++ {
				x /= x + 1
			}
		}
	})
}

func withTimeoutBeside(concurrent int) float64 {
	root := context.Background()
	cancels := make([]context.CancelFunc, concurrent)
	for i := range cancels {
		_, cancels[i] = context.WithTimeout(root, time.Hour)
	}
	figure := measure(func(n int) {
		parallel(n, func(n int) {
			wcf := make([]context.CancelFunc, 10)
			for ; n > 0; n-- {
				for i := range wcf {
					_, wcf[i] = context.WithTimeout(root, time.Hour)
				}
				for _, f := range wcf {
					f()
				}
			}
		})
	})
	for _, f := range cancels {
		f()
	}
	return figure
}

func buildContextTree(root context.Context, depth int) {
	for d := 0; d < depth; d++ {
		root, _ = context.WithCancel(root)
	}
}

func cancelTreeBackground(depth int) func(int) {
	return func(n int) {
		for i := 0; i < n; i++ {
			buildContextTree(context.Background(), depth)
		}
	}
}

func cancelTreeOpen(depth int) func(int) {
	return func(n int) {
		for i := 0; i < n; i++ {
			ctx, cancel := context.WithCancel(context.Background())
			buildContextTree(ctx, depth)
			cancel()
		}
	}
}

func cancelTreeClosed(depth int) func(int) {
	return func(n int) {
		for i := 0; i < n; i++ {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			buildContextTree(ctx, depth)
		}
	}
}

func checkCanceledErr(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := 0; i < n; i++ {
		ctx.Err()
	}
}

func checkCanceledDone(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := 0; i < n; i++ {
		select {
		case <-ctx.Done():
		default:
		}
	}
}

func contextCancelDone(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	parallel(n, func(n int) {
		for ; n > 0; n-- {
			select {
			case <-ctx.Done():
			default:
			}
		}
	})
}

func deepValue(depth int) context.Context {
	ctx := context.Background()
	for i := 0; i < depth; i++ {
		ctx = context.WithValue(ctx, i, i)
	}
	return ctx
}

func deepValueNew(depth int) func(int) {
	return func(n int) {
		ctx := deepValue(depth)
		for i := 0; i < n; i++ {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				ctx.Value(-1)
			}()
			wg.Wait()
		}
	}
}

func deepValueSame(depth int) func(int) {
	return func(n int) {
		ctx := deepValue(depth)
		for i := 0; i < n; i++ {
			ctx.Value(-1)
		}
	}
}

func errOK(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for ; n > 0; n-- {
		if err := ctx.Err(); err != nil {
			panic(err)
		}
	}
}

func errCanceled(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for ; n > 0; n-- {
		if err := ctx.Err(); err == nil {
			panic("open")
		}
	}
}

func init() {
	suite := map[string]func(int){
		"common_parent_cancel": commonParentCancel,
		"check_canceled_err":   checkCanceledErr, "check_canceled_done": checkCanceledDone,
		"context_cancel_done": contextCancelDone, "err_ok": errOK, "err_canceled": errCanceled,
	}
	for _, d := range []int{1, 10, 100, 1000} {
		suite[fmt.Sprintf("cancel_tree_background_%d", d)] = cancelTreeBackground(d)
		suite[fmt.Sprintf("cancel_tree_open_%d", d)] = cancelTreeOpen(d)
		suite[fmt.Sprintf("cancel_tree_closed_%d", d)] = cancelTreeClosed(d)
	}
	for _, d := range []int{10, 20, 30, 50, 100} {
		suite[fmt.Sprintf("deep_value_new_goroutine_%d", d)] = deepValueNew(d)
		suite[fmt.Sprintf("deep_value_same_goroutine_%d", d)] = deepValueSame(d)
	}
	for name, fn := range suite {
		benches["go_suite_"+name] = fn
	}
	for _, c := range []int{40, 4000, 400000} {
		values[fmt.Sprintf("go_suite_with_timeout_%d", c)] = func() float64 {
			return withTimeoutBeside(c)
		}
	}
}
