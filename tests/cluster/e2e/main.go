// SPDX-License-Identifier: Apache-2.0

// Runs Spawnpoint beside a real kube-scheduler on a real API server, with what manifests/ holds.
//
//	e2e -root DIR -controlplane FILE -spawnpoint FILE -out DIR [SCENARIO...]
//	e2e ... -bench ROUNDS
//
// A scenario is named by the beginning of its name; without one all run. The last line counts them.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type scenario struct {
	name string
	what string
	run  func(*test)
	live bool // only where the extender follows the API server
}

// test is one scenario's view of the cluster. A failed check ends the scenario.
type test struct {
	c     *cluster
	dir   string
	nodes []string
	pair  *pair // the first
	pairs []*pair
	notes []string
}

type failure struct{ text string }

func (t *test) failf(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

func (t *test) must(err error) {
	if err != nil {
		t.failf("%v", err)
	}
}

func (t *test) check(ok bool, format string, args ...any) {
	if !ok {
		t.failf(format, args...)
	}
}

// notef is printed behind the scenario's line.
func (t *test) notef(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func runOne(c *cluster, s scenario) (t *test, err error) {
	t = &test{c: c, dir: filepath.Join(c.dir, strings.ReplaceAll(s.name, "/", "-"))}
	defer func() {
		bad := recover()
		if bad != nil {
			text, ok := bad.(failure)
			if !ok {
				panic(bad)
			}
			err = fmt.Errorf("%s", text.text)
			for _, p := range t.pairs {
				if p.extender != nil {
					err = fmt.Errorf("%w\n%s", err, p.extender.tail(8))
				}
			}
		}
		if cleaning := t.clean(); cleaning != nil && err == nil {
			err = cleaning
		}
	}()
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return t, err
	}
	s.run(t)
	return t, nil
}

func wanted(name string, asked []string) bool {
	for _, a := range asked {
		if strings.HasPrefix(name, a) {
			return true
		}
	}
	return len(asked) == 0
}

func run() int {
	root := flag.String("root", ".", "the source tree")
	program := flag.String("controlplane", "build/cluster/controlplane", "the control plane's program")
	extender := flag.String("spawnpoint", "build/release/spawnpoint", "the program under test")
	out := flag.String("out", "build/cluster/run", "logs and state of the run; emptied first")
	list := flag.Bool("list", false, "name the scenarios and end")
	rounds := flag.Int("bench", 0, "measure that many rounds instead of running scenarios")
	sizes := flag.String("nodes", "1000,5000", "numbers of nodes to measure with")
	pods := flag.Int("pods", 2000, "pods per measurement")
	only := flag.String("only", "", "measure these variants and the one without an extender")
	flag.Parse()
	var chosen []scenario
	for _, s := range scenarios {
		if *list {
			fmt.Printf("%-24s %s\n", s.name, s.what)
		} else if wanted(s.name, flag.Args()) {
			chosen = append(chosen, s)
		}
	}
	if *list {
		return 0
	}
	if len(chosen) == 0 && *rounds == 0 {
		fmt.Fprintf(os.Stderr, "e2e: no scenario begins with %q; -list names them\n", flag.Args())
		return 2
	}
	if err := os.RemoveAll(*out); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	c, err := newCluster(*root, *out, *program, *extender)
	if err == nil {
		defer c.stop()
		begun := time.Now()
		if err = c.start(); err == nil {
			source := "serve --snapshot (a dump of the API server)"
			if c.live {
				source = "serve --kubeconfig"
			}
			fmt.Printf("control plane ready in %.1f s; %s\n", time.Since(begun).Seconds(), source)
		}
	}
	if err != nil {
		fmt.Println(err)
		fmt.Printf("0 passed, %d failed, 0 skipped\n", len(chosen))
		return 1
	}
	if *rounds > 0 {
		for _, size := range strings.Split(*sizes, ",") {
			nodes, err := strconv.Atoi(size)
			if err == nil {
				err = c.bench(nodes, *pods, *rounds, *only)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "e2e:", err)
				return 1
			}
		}
		return 0
	}
	passed, failed, skipped := 0, 0, 0
	for _, s := range chosen {
		if s.live && !c.live {
			skipped++
			fmt.Printf("skip e2e/%s: a dump does not move\n", s.name)
			continue
		}
		begun := time.Now()
		t, err := runOne(c, s)
		seconds := time.Since(begun).Seconds()
		if err != nil {
			failed++
			fmt.Printf("FAIL e2e/%s: %s (%.1f s)\n     | %s\n", s.name, s.what, seconds,
				strings.ReplaceAll(err.Error(), "\n", "\n     | "))
		} else {
			passed++
			fmt.Printf("ok   e2e/%s: %s (%.1f s)\n", s.name, s.what, seconds)
		}
		for _, note := range t.notes {
			fmt.Printf("     %s\n", note)
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 {
		return 1
	}
	return 0
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "stub" {
		fmt.Fprintln(os.Stderr, stub(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(run())
}
