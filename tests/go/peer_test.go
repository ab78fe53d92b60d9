// SPDX-License-Identifier: MIT

// Go's half of `make test-go`: runs scripts of context operations with Go's own package context
// and prints the state after every step. compare.c describes the scripts.
//
// It is a test binary because only those have bubbles with a virtual clock (testing/synctest): the
// clock jumps when everything is blocked, and Wait returns when all that a step has started (timers,
// after-funcs) has run to its end. So every step has one outcome.
package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	slots  = 12 // 0 is the background
	afters = 6
	keys   = 3
)

type key int
type cause int

func (c cause) Error() string { return fmt.Sprintf("c%d", int(c)) }

func causeOf(code int) error {
	if code == 0 {
		return nil
	}
	return cause(code)
}

// A context whose values come from somewhere else.
type source struct {
	context.Context
	key   key
	value any
}

func (s *source) Value(k any) any {
	if k == s.key {
		return s.value
	}
	return s.Context.Value(k)
}

type slot struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	shares int
}

type after struct {
	stop  func() bool
	count int
}

type machine struct {
	start  time.Time
	slots  [slots]slot
	afters [afters]after
	out    *strings.Builder
}

func value(v int) any {
	if v == 0 {
		return nil
	}
	return v
}

// What Go can cancel without a cause only, made so that it can be cancelled with one.
func plain(inner context.Context, cancelInner context.CancelFunc) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(inner)
	return ctx, func(err error) {
		cancel(err)
		cancelInner()
	}
}

// Go's example of a merge. The other parent has no deadline, so that its error is always Canceled.
func merge(a, b context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func(err error) {
		stop()
		cancel(err)
	}
}

// Derives into an empty slot, or does nothing.
func (m *machine) derive(op byte, n [4]int) {
	to, parent := n[0], m.slots[n[1]].ctx
	if m.slots[to].ctx != nil || parent == nil {
		return
	}
	s := slot{shares: 1}
	switch op {
	case 'c':
		s.ctx, s.cancel = context.WithCancelCause(parent)
	case 'd':
		at := m.start.Add(time.Duration(n[2]))
		if n[3] == 0 {
			s.ctx, s.cancel = plain(context.WithDeadline(parent, at))
		} else {
			s.ctx, s.cancel = plain(context.WithDeadlineCause(parent, at, cause(n[3])))
		}
	case 't':
		if n[3] == 0 {
			s.ctx, s.cancel = plain(context.WithTimeout(parent, time.Duration(n[2])))
		} else {
			s.ctx, s.cancel = plain(context.WithTimeoutCause(parent, time.Duration(n[2]), cause(n[3])))
		}
	case 'g':
		s.ctx, s.cancel = plain(context.WithTimeout(context.WithoutCancel(parent), time.Duration(n[2])))
	case 'm':
		other := m.slots[n[2]].ctx
		if other == nil {
			return
		}
		if _, has := other.Deadline(); has {
			return
		}
		s.ctx, s.cancel = merge(parent, other)
	case 'v':
		s = slot{ctx: context.WithValue(parent, key(n[2]), value(n[3]))}
	case 's':
		s = slot{ctx: &source{parent, key(n[2]), value(n[3])}}
	case 'w':
		s = slot{ctx: context.WithoutCancel(parent)}
	}
	m.slots[to] = s
}

func (m *machine) step(op byte, n [4]int) {
	s := &m.slots[n[0]]
	switch op {
	case 'x':
		if s.shares > 0 {
			s.cancel(causeOf(n[1]))
		}
	case 'h':
		if s.shares > 0 {
			s.shares++
		}
	case 'e':
		if s.shares > 0 {
			s.shares--
			s.cancel(nil)
		}
	case 'r':
		if n[0] != 0 {
			if s.shares > 0 {
				s.cancel(nil)
			}
			*s = slot{}
		}
	case 'f':
		a := &m.afters[n[0]%afters]
		if ctx := m.slots[n[1]].ctx; ctx != nil && a.stop == nil {
			*a = after{}
			a.stop = context.AfterFunc(ctx, func() { a.count++ })
		}
	case 'z':
		a := &m.afters[n[0]%afters]
		if a.stop != nil {
			fmt.Fprint(m.out, a.stop(), " ")
			a.stop = nil
		}
	case 'a':
		time.Sleep(time.Duration(n[1]))
	case 'l':
		if s.ctx != nil {
			m.show(s.ctx, n[0])
		}
	default:
		m.derive(op, n)
	}
	synctest.Wait()
}

func text(err error) string {
	if err == nil {
		return "-"
	}
	return err.Error()
}

func (m *machine) show(ctx context.Context, at int) {
	fmt.Fprintf(m.out, "%d:%s,%s,", at, text(ctx.Err()), text(context.Cause(ctx)))
	if deadline, ok := ctx.Deadline(); ok {
		fmt.Fprint(m.out, int64(deadline.Sub(m.start)))
	} else {
		m.out.WriteByte('-')
	}
	for k := range keys {
		v, _ := ctx.Value(key(k)).(int)
		fmt.Fprintf(m.out, ",%d", v)
	}
	m.out.WriteString("; ")
}

func (m *machine) showAll() {
	for i := 1; i < slots; i++ {
		if m.slots[i].ctx != nil {
			m.show(m.slots[i].ctx, i)
		}
	}
	for i := range m.afters {
		if m.afters[i].stop != nil {
			fmt.Fprintf(m.out, "f%d:%d; ", i, m.afters[i].count)
		}
	}
}

func run(lines []string, out *strings.Builder) {
	m := &machine{start: time.Now(), out: out}
	m.slots[0].ctx = context.Background()
	always := false
	for _, line := range lines {
		var op byte
		var n [4]int
		for i, word := range strings.Fields(line) {
			if i == 0 {
				op = word[0]
			} else {
				n[i-1], _ = strconv.Atoi(word)
			}
		}
		if op == 'A' {
			always = true
		} else if op != 'q' {
			m.step(op, n)
		}
		if op == 'q' || always {
			m.showAll()
		}
		out.WriteByte('\n')
	}
	for i := range m.slots {
		if m.slots[i].shares > 0 {
			m.slots[i].cancel(nil)
		}
	}
	for i := range m.afters {
		if m.afters[i].stop != nil {
			m.afters[i].stop()
		}
	}
}

func TestPeer(t *testing.T) {
	if os.Getenv("CEASE_GO_PEER") == "" {
		t.Skip("started by tools/test-go only")
	}
	in := bufio.NewScanner(os.Stdin)
	var lines []string
	for in.Scan() {
		if line := in.Text(); line != "E" {
			lines = append(lines, line)
			continue
		}
		var out strings.Builder
		synctest.Test(t, func(*testing.T) { run(lines, &out) })
		out.WriteString("E\n")
		if _, err := io.WriteString(os.Stdout, out.String()); err != nil {
			return
		}
		lines = lines[:0]
	}
}
