// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/serve_args.h"

#include <errno.h>
#include <getopt.h>

enum flag {
    FLAG_CONFIG = 256,
    FLAG_LISTEN,
    FLAG_ADMIN,
    FLAG_KUBECONFIG,
    FLAG_SNAPSHOT,
    FLAG_DECIDE,
    FLAG_LATENCY,
    FLAG_PRICES,
    FLAG_TTL,
    FLAG_DELAY,
    FLAG_API_TIMEOUT,
    FLAG_HELP
};

static const struct option options[] = {
    {"config", required_argument, NULL, FLAG_CONFIG},
    {"listen", required_argument, NULL, FLAG_LISTEN},
    {"admin-listen", required_argument, NULL, FLAG_ADMIN},
    {"kubeconfig", required_argument, NULL, FLAG_KUBECONFIG},
    {"snapshot", required_argument, NULL, FLAG_SNAPSHOT},
    {"decide", required_argument, NULL, FLAG_DECIDE},
    {"latency", required_argument, NULL, FLAG_LATENCY},
    {"prices", required_argument, NULL, FLAG_PRICES},
    {"reservation-ttl", required_argument, NULL, FLAG_TTL},
    {"shutdown-delay", required_argument, NULL, FLAG_DELAY},
    {"api-timeout", required_argument, NULL, FLAG_API_TIMEOUT},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

const char *serve_usage(void)
{
    return "usage: spawnpoint serve [--kubeconfig FILE | --snapshot PATH] [OPTION...]\n\n"
           "Answers kube-scheduler's extender calls (/filter, /prioritize) and serves health, "
           "metrics and\n"
           "explanations on a second port. The cluster is watched through its API, found as "
           "kubectl finds it\n"
           "($KUBECONFIG, ~/.kube/config, the pod's service account), or read once from a dump.\n\n"
           "  --kubeconfig FILE       the cluster by this file and no other\n"
           "  --snapshot PATH         the cluster: a file, a folder or -; repeat for parts of one "
           "cluster\n"
           "  --config FILE           SpawnpointConfiguration; read again on SIGHUP and when it "
           "changes\n"
           "  --listen ADDR           extender port (default 127.0.0.1:10270; port 0 picks one)\n"
           "  --admin-listen ADDR     health, metrics, explanations (default 127.0.0.1:10271)\n"
           "  --decide WAY            decisive | shortlist | cooperative; wins over the "
           "configuration\n"
           "  --latency FILE          CSV from,to,rtt_ms[,jitter_ms]; wins over latency.file\n"
           "  --prices FILE           CSV "
           "instance_type,region[,zone],capacity_type,price_per_hour\n"
           "  --reservation-ttl TIME  how long a decided pod counts until it is seen bound; 0 = "
           "never\n"
           "  --shutdown-delay TIME   how long to go on serving after SIGTERM (default 5s)\n"
           "  --api-timeout TIME      the longest silence of the API server while connecting or "
           "listing (default 15s)\n"
           "  --help                  print this\n\n"
           "examples:\n"
           "  spawnpoint serve --kubeconfig ~/.kube/config\n"
           "  kubectl get nodes,pods -A -o json > dump.json\n"
           "  spawnpoint serve --snapshot dump.json\n"
           "  spawnpoint serve --snapshot dump.json --config spawnpoint.yaml --decide cooperative\n"
           "  spawnpoint serve --snapshot dump.json --listen '[::1]:0' --admin-listen '[::1]:0'\n";
}

static int unknown_flag(const char *word, struct err *err)
{
    const char *names[SP_COUNTOF(options)];
    size_t n = 0;
    for (; options[n].name; n++) {
        names[n] = options[n].name;
    }
    struct str name = str_c(word);
    while (name.n > 0 && name.p[0] == '-') {
        name.p++;
        name.n--;
    }
    struct str rest = name;
    const char *near = str_nearest(str_cut(&rest, '='), names, n);
    if (near) {
        return err_set(err, -EINVAL, "unknown option \"%s\"; did you mean --%s?", word, near);
    }
    return err_set(err, -EINVAL, "unknown option \"%s\"; `spawnpoint serve --help` lists them",
                   word);
}

static int read_decide(const char *text, struct serve_args *a, struct err *err)
{
    static const char *const ways[] = {"decisive", "shortlist", "cooperative"};
    for (size_t i = 0; i < SP_COUNTOF(ways); i++) {
        if (strcmp(text, ways[i]) == 0) {
            a->decide = (enum decide_way)i;
            a->has_decide = true;
            return 0;
        }
    }
    const char *near = str_nearest(str_c(text), ways, SP_COUNTOF(ways));
    return err_set(err, -EINVAL,
                   "--decide \"%s\": expected decisive, shortlist or cooperative%s%s%s", text,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int read_time(const char *flag, const char *text, int64_t *ret, struct err *err)
{
    int64_t ms = 0;
    if (!str_to_duration_ms(str_c(text), &ms) || ms < 0 || ms > 86400000) {
        return err_set(err, -EINVAL, "%s \"%s\": expected a duration such as 5s, at most 24h", flag,
                       text);
    }
    *ret = ms;
    return 0;
}

static int take(int flag, struct serve_args *a, struct err *err)
{
    switch (flag) {
    case FLAG_CONFIG:
        a->config = optarg;
        return 0;
    case FLAG_LISTEN:
        a->listen = optarg;
        return 0;
    case FLAG_ADMIN:
        a->admin_listen = optarg;
        return 0;
    case FLAG_KUBECONFIG:
        a->kubeconfig = optarg;
        return 0;
    case FLAG_LATENCY:
        a->latency = optarg;
        return 0;
    case FLAG_PRICES:
        a->prices = optarg;
        return 0;
    case FLAG_SNAPSHOT:
        if (a->n_snapshots == SERVE_SNAPSHOTS_MAX) {
            return err_set(err, -EINVAL, "more than %d --snapshot; give a folder",
                           SERVE_SNAPSHOTS_MAX);
        }
        a->snapshots[a->n_snapshots++] = optarg;
        return 0;
    case FLAG_DECIDE:
        return read_decide(optarg, a, err);
    case FLAG_TTL:
        a->has_ttl = true;
        return read_time("--reservation-ttl", optarg, &a->reservation_ttl_ms, err);
    case FLAG_DELAY:
        return read_time("--shutdown-delay", optarg, &a->shutdown_delay_ms, err);
    case FLAG_API_TIMEOUT: {
        int rc = read_time("--api-timeout", optarg, &a->api_timeout_ms, err);
        return rc != 0 || a->api_timeout_ms > 0
                   ? rc
                   : err_set(err, -EINVAL, "--api-timeout: expected more than 0");
    }
    case FLAG_HELP:
    default:
        a->help = true;
        return 0;
    }
}

int serve_args_read(int argc, char **argv, struct serve_args *ret, struct err *err)
{
    struct serve_args a = {.listen = "127.0.0.1:10270",
                           .admin_listen = "127.0.0.1:10271",
                           .shutdown_delay_ms = 5000,
                           .api_timeout_ms = 15000};
    opterr = 0;
    optind = 0; /* read from the start, whoever has read before */
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int flag = getopt_long(argc, argv, ":h", options, NULL);
        if (flag == -1) {
            break;
        }
        if (flag == ':') {
            return err_set(err, -EINVAL, "option \"%s\" needs a value", argv[optind - 1]);
        }
        if (flag == '?') {
            return unknown_flag(argv[at < argc ? at : argc - 1], err);
        }
        int rc = take(flag == 'h' ? FLAG_HELP : flag, &a, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (optind < argc) {
        return err_set(err, -EINVAL, "unexpected argument \"%s\"; a dump is given with --snapshot",
                       argv[optind]);
    }
    *ret = a;
    return 0;
}
