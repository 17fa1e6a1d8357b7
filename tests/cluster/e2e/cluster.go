// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// The controllers that make pods and keep what they need. Nodes are posted, so nothing that judges heartbeats runs.
const controllers = "deployment-controller,replicaset-controller,statefulset-controller,job-controller," +
	"garbage-collector-controller,namespace-controller,serviceaccount-controller,serviceaccount-token-controller," +
	"root-ca-certificate-publisher-controller,persistentvolume-binder-controller,disruption-controller"

// cluster is one control plane, started from nothing and gone at the end.
type cluster struct {
	root      string // of the source tree
	dir       string // of this run
	program   string // controlplane
	extender  string // spawnpoint
	live      bool   // spawnpoint follows the API server; else it serves a dump
	address   string
	ca        *authority
	admin     *client
	etcd      *process
	api       *process
	manager   *process
	account   string // kubeconfig of the manifests' service account
	apiArgs   []string
	manifests map[string][]object
}

func newCluster(root, dir, program, extender string) (*cluster, error) {
	c := &cluster{root: root, dir: dir, program: program, extender: extender, manifests: map[string][]object{}}
	var err error
	if c.ca, err = newAuthority(filepath.Join(dir, "pki")); err != nil {
		return nil, err
	}
	for _, issue := range [][]string{{"server"}, {"admin", "system:masters"}, {"accounts"}} {
		if err := c.ca.issue(issue[0], issue[1:]...); err != nil {
			return nil, err
		}
	}
	help, _ := exec.Command(extender, "serve", "--help").CombinedOutput()
	c.live = !strings.Contains(string(help), "not in this version")
	switch os.Getenv("E2E_SOURCE") {
	case "live":
		c.live = true
	case "snapshot":
		c.live = false
	}
	return c, nil
}

func (c *cluster) startEtcd() error {
	client, err := freePort()
	if err != nil {
		return err
	}
	peer, err := freePort()
	if err != nil {
		return err
	}
	c.etcd, err = start(c.dir, "etcd", c.program, "etcd", filepath.Join(c.dir, "etcd"),
		fmt.Sprintf("http://127.0.0.1:%d", client), fmt.Sprintf("http://127.0.0.1:%d", peer))
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	c.address = fmt.Sprintf("https://127.0.0.1:%d", port)
	c.apiArgs = []string{"kube-apiserver",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", client), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file=" + c.ca.path("server.crt"),
		"--tls-private-key-file=" + c.ca.path("server.key"), "--client-ca-file=" + c.ca.path("ca.crt"),
		"--requestheader-client-ca-file=" + c.ca.path("ca.crt"), "--requestheader-allowed-names=front-proxy", "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.ca.path("accounts.pub"),
		"--service-account-signing-key-file=" + c.ca.path("accounts.key"), "--service-cluster-ip-range=10.0.0.0/24",
		// No kubelet takes back the taint of a new node, and nothing ends the finalizers of volumes.
		"--disable-admission-plugins=TaintNodesByCondition,StorageObjectInUseProtection",
		"--endpoint-reconciler-type=none", "--event-ttl=1h"}
	return c.startAPI()
}

// startAPI starts the API server, and after it was killed starts it again, on the same port and store.
func (c *cluster) startAPI() error {
	var err error
	c.api, err = start(c.dir, "kube-apiserver", c.program, c.apiArgs...)
	return err
}

func (c *cluster) connect() error {
	pair, err := tls.LoadX509KeyPair(c.ca.path("admin.crt"), c.ca.path("admin.key"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.cert)
	transport := &http.Transport{MaxIdleConnsPerHost: 32,
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	c.admin = &client{base: c.address, http: &http.Client{Transport: transport, Timeout: 60 * time.Second}}
	return until(90*time.Second, func() error {
		if !c.api.running() || !c.etcd.running() {
			return hopeless{fmt.Errorf("the control plane ended\n%s\n%s", c.etcd.tail(20), c.api.tail(20))}
		}
		code, text, err := c.admin.raw(http.MethodGet, "/readyz", "", nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("/readyz %d %s", code, text)
		}
		return err
	})
}

func (c *cluster) kubeconfig(name, server string, user object) (string, error) {
	path := filepath.Join(c.dir, name+".kubeconfig")
	text, err := yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"clusters": []object{{"name": "e2e", "cluster": object{"server": server,
			"certificate-authority": c.ca.path("ca.crt")}}},
		"users":    []object{{"name": name, "user": user}},
		"contexts": []object{{"name": "e2e", "context": object{"cluster": "e2e", "user": name}}},
	})
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, text, 0o600)
}

// kubectl runs as the administrator.
func (c *cluster) kubectl(stdin []byte, args ...string) (string, error) {
	cmd := exec.Command(c.program, append([]string{"kubectl", "--kubeconfig=" + filepath.Join(c.dir, "admin.kubeconfig"),
		"--cache-dir=" + filepath.Join(c.dir, "kubectl-cache")}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
}

// start brings everything up but the scheduler and the extender, and installs the manifests.
func (c *cluster) start() error {
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	admin := object{"client-certificate": c.ca.path("admin.crt"), "client-key": c.ca.path("admin.key")}
	kubeconfig, err := c.kubeconfig("admin", c.address, admin)
	if err != nil {
		return err
	}
	c.manager, err = start(c.dir, "kube-controller-manager", c.program, "kube-controller-manager",
		"--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0", "--controllers="+controllers,
		"--service-account-private-key-file="+c.ca.path("accounts.key"), "--root-ca-file="+c.ca.path("ca.crt"),
		"--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-deployment-syncs=4")
	if err != nil {
		return err
	}
	if _, err := c.kubectl(nil, "apply", "--server-side", "-f", filepath.Join(c.root, "tests/cluster/agones-crds.yaml")); err != nil {
		return err
	}
	if _, err := c.kubectl(nil, "apply", "--server-side", "-f", filepath.Join(c.root, "manifests/rendered.yaml")); err != nil {
		return err
	}
	return until(30*time.Second, c.openAccount)
}

// openAccount makes the kubeconfig of the manifests' service account, with a token as the kubelet would ask for.
func (c *cluster) openAccount() error {
	answer, err := c.admin.do(http.MethodPost, "/api/v1/namespaces/spawnpoint-system/serviceaccounts/spawnpoint/token",
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
			"spec": object{"expirationSeconds": 3600}})
	if err != nil {
		return err
	}
	token := filepath.Join(c.dir, "token")
	if err := os.WriteFile(token, []byte(answer.str("status", "token")), 0o600); err != nil {
		return err
	}
	c.account, err = c.kubeconfig("account", c.address, object{"tokenFile": token})
	return err
}

// overlay is what kustomize makes of manifests/overlays/WAY.
func (c *cluster) overlay(way string) ([]object, error) {
	if known, ok := c.manifests[way]; ok {
		return known, nil
	}
	text, err := c.kubectl(nil, "kustomize", filepath.Join(c.root, "manifests/overlays", way))
	if err != nil {
		return nil, err
	}
	var out []object
	for _, document := range strings.Split(text, "\n---\n") {
		o := object{}
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	c.manifests[way] = out
	return out, nil
}

// pick is the first object of the kind whose name begins so.
func pick(objects []object, kind, prefix string) object {
	for _, o := range objects {
		if o.str("kind") == kind && strings.HasPrefix(o.name(), prefix) {
			return o
		}
	}
	return nil
}

func stringsAt(o object, path ...any) []string {
	list, _ := o.at(path...).([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// pair is a kube-scheduler and its extender, as the manifests run them.
type pair struct {
	c         *cluster
	way       string
	dir       string
	config    string
	port      int
	admin     int
	account   string // the extender's kubeconfig
	front     int    // a port that stands before the extender's, for kube-scheduler; 0 = none
	extender  *process
	scheduler *process
	starts    int
}

// startPair takes arguments and configurations out of the overlay; only addresses, paths and the account's kubeconfig differ.
// settings are added to the overlay's SpawnpointConfiguration; account is the kubeconfig of the extender.
func (c *cluster) startPair(dir, way, settings, account string) (*pair, error) {
	objects, err := c.overlay(way)
	if err != nil {
		return nil, err
	}
	p := &pair{c: c, way: way, dir: dir, account: account, config: filepath.Join(dir, "spawnpoint.yaml")}
	text := pick(objects, "ConfigMap", "spawnpoint-config").str("data", "spawnpoint.yaml")
	if err := os.WriteFile(p.config, []byte(text+settings), 0o644); err != nil {
		return nil, err
	}
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	if p.admin, err = freePort(); err != nil {
		return nil, err
	}
	if err := p.startExtender(); err != nil {
		return p, err
	}
	return p, p.startScheduler(objects)
}

func (p *pair) startExtender() error {
	objects, err := p.c.overlay(p.way)
	if err != nil {
		return err
	}
	deployment := pick(objects, "Deployment", "spawnpoint-scheduler")
	args := stringsAt(deployment, "spec", "template", "spec", "initContainers", 0, "args")
	for i, arg := range args {
		switch name, _, _ := strings.Cut(arg, "="); name {
		case "--config":
			args[i] = "--config=" + p.config
		case "--listen":
			args[i] = fmt.Sprintf("--listen=127.0.0.1:%d", p.port)
		case "--admin-listen":
			args[i] = fmt.Sprintf("--admin-listen=127.0.0.1:%d", p.admin)
		case "--shutdown-delay":
			args[i] = "--shutdown-delay=0s"
		}
	}
	p.starts++
	if p.c.live {
		args = append(args, "--kubeconfig="+p.account)
	} else {
		folder := filepath.Join(p.dir, fmt.Sprintf("dump-%d", p.starts))
		if err := p.c.admin.dump(folder); err != nil {
			return err
		}
		args = append(args, "--snapshot="+folder)
	}
	p.extender, err = start(p.dir, "spawnpoint", p.c.extender, args...)
	if err != nil {
		return err
	}
	return until(30*time.Second, func() error {
		if !p.extender.running() {
			return hopeless{fmt.Errorf("spawnpoint ended\n%s", p.extender.tail(20))}
		}
		reply, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", p.admin))
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			return fmt.Errorf("spawnpoint: /readyz %d", reply.StatusCode)
		}
		return nil
	})
}

func (p *pair) startScheduler(objects []object) error {
	config := object{}
	text := pick(objects, "ConfigMap", "spawnpoint-scheduler-config").str("data", "scheduler.yaml")
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	config.at("clientConnection").(map[string]any)["kubeconfig"] = p.c.account
	port := p.port
	if p.front != 0 {
		port = p.front
	}
	config.at("extenders", 0).(map[string]any)["urlPrefix"] = fmt.Sprintf("http://127.0.0.1:%d", port)
	written, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	path := filepath.Join(p.dir, "scheduler.yaml")
	if err := os.WriteFile(path, written, 0o644); err != nil {
		return err
	}
	if port, err = freePort(); err != nil {
		return err
	}
	deployment := pick(objects, "Deployment", "spawnpoint-scheduler")
	args := stringsAt(deployment, "spec", "template", "spec", "containers", 0, "args")
	for i, arg := range args {
		switch name, _, _ := strings.Cut(arg, "="); name {
		case "--config":
			args[i] = "--config=" + path
		case "--secure-port":
			args[i] = fmt.Sprintf("--secure-port=%d", port)
		}
	}
	args = append([]string{"kube-scheduler"}, append(args, "--bind-address=127.0.0.1",
		"--authentication-kubeconfig="+p.c.account, "--authorization-kubeconfig="+p.c.account)...)
	p.scheduler, err = start(p.dir, "kube-scheduler", p.c.program, args...)
	return err
}

func (p *pair) stop() {
	p.scheduler.stop()
	p.extender.stop()
}

// metric is the sum of the extender's samples whose line begins with the name and holds all of parts.
func (p *pair) metric(name string, parts ...string) (float64, error) {
	reply, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.admin))
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(reply.Body); err != nil {
		return 0, err
	}
	sum := 0.0
lines:
	for _, line := range strings.Split(text.String(), "\n") {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &value); err == nil {
			sum += value
		}
	}
	return sum, nil
}

// explain is the extender's own account of its last decision about the pod.
func (p *pair) explain(namespace, name string) (object, error) {
	reply, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/v1/explain?pod=%s/%s", p.admin, namespace, name))
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	answer := object{}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("explain: %d %v", reply.StatusCode, answer)
	}
	return answer, nil
}

// stop goes in the order in which nothing waits for what is gone.
func (c *cluster) stop() {
	for _, p := range []*process{c.manager, c.api, c.etcd} {
		p.stop()
	}
}

func init() { runtime.LockOSThread() } // Pdeathsig counts threads, and the first one lives longest

// bare is a client without a certificate, for tokens.
func bare(c *cluster) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.cert)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: roots}}}
}
