// SPDX-License-Identifier: Apache-2.0
#include "daemon/live.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "conf/config.h"
#include "daemon/clock.h"

static int read_settings(const struct serve_args *a, struct settings *s, struct err *err)
{
    int rc = a->config ? config_load(a->config, s, err) : settings_default(s, err);
    if (rc != 0) {
        return rc;
    }
    if (a->latency) {
        rc = config_read_latency(s, a->latency, err);
    }
    if (rc == 0 && a->prices) {
        rc = config_read_prices(s, a->prices, err);
    }
    if (rc != 0) {
        settings_done(s);
    }
    return rc;
}

int live_read(const struct serve_args *a, uint64_t generation, struct live **ret, struct err *err)
{
    struct live *l = mem_calloc(1, sizeof *l);
    if (!l) {
        return err_nomem(err);
    }
    int rc = read_settings(a, &l->s, err);
    if (rc != 0) {
        mem_free(l);
        return rc;
    }
    if (a->has_decide) {
        l->s.decide = a->decide;
    }
    l->decide = l->s.decide;
    l->ttl_ms = a->has_ttl ? a->reservation_ttl_ms : l->s.reservation_ttl_ms;
    l->s.reservation_ttl_ms = l->ttl_ms;
    l->generation = generation;
    l->loaded_ms = clock_wall_ms();
    atomic_store(&l->refs, 1);
    *ret = l;
    return 0;
}

struct live *live_hold(struct live *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void live_drop(struct live *l)
{
    if (l && atomic_fetch_sub(&l->refs, 1) == 1) {
        settings_done(&l->s);
        mem_free(l);
    }
}

const char *live_decide_name(enum decide_way way)
{
    static const char *const names[] = {"decisive", "shortlist", "cooperative"};
    return names[way];
}
