/* spec.volumes of pods: claims, ephemeral claims, images, and the in-line disks that VolumeRestrictions looks at.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "wire/k8s_dec.h"

/* Field that names the disk, by kind of in-line volume. */
static const struct {
    const char *kind, *id;
} inline_kinds[] = {
    {"gcePersistentDisk", "pdName"},
    {"awsElasticBlockStore", "volumeID"},
    {"iscsi", "iqn"},
    {"azureDisk", "diskName"},
    {"cinder", "volumeID"},
};

static bool claim_source(struct k8s_dec *d, struct volume_desc *v)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "claimName")) {
            ok = dec_str(d, &v->claim);
        } else if (DEC_KEY(it, "readOnly")) {
            ok = dec_bool(d, &v->read_only);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool disk_source(struct k8s_dec *d, const char *id_key, struct volume_desc *v)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (str_is(it.key, id_key)) {
            ok = dec_str(d, &v->inline_id);
        } else if (DEC_KEY(it, "readOnly")) {
            ok = dec_bool(d, &v->read_only);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

/* Two RBD volumes clash when they share a monitor, the pool and the image; the identity here holds all monitors. */
static bool rbd_source(struct k8s_dec *d, struct volume_desc *v)
{
    struct dec_iter it;
    str_list monitors = {0};
    struct str pool = STR("rbd"), image = STR_NONE;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "monitors")) {
            ok = dec_str_list(d, &monitors);
        } else if (DEC_KEY(it, "pool")) {
            ok = dec_str(d, &pool);
        } else if (DEC_KEY(it, "image")) {
            ok = dec_str(d, &image);
        } else if (DEC_KEY(it, "readOnly")) {
            ok = dec_bool(d, &v->read_only);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    size_t n = pool.n + image.n + 2;
    for (uint32_t i = 0; i < monitors.n; i++) {
        n += monitors.p[i].n + 1;
    }
    char *p = arena_alloc(d->a, n);
    if (p == NULL) {
        return dec_nomem(d);
    }
    char *o = p;
    for (uint32_t i = 0; i < monitors.n + 2; i++) {
        struct str part = i < monitors.n ? monitors.p[i] : i == monitors.n ? pool : image;
        if (part.n > 0) {
            memcpy(o, part.p, part.n);
        }
        o += part.n;
        *o++ = i < monitors.n ? ',' : '/';
    }
    v->inline_id = (struct str){p, (size_t)(o - p)};
    return dec_ok(d);
}

static bool image_source(struct k8s_dec *d, struct volume_desc *v)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        if (!(DEC_KEY(it, "reference") ? dec_str(d, &v->image) : dec_skip(d))) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool source(struct k8s_dec *d, struct str key, struct volume_desc *v)
{
    if (scan_peek(&d->s) != SCAN_OBJECT) {
        return dec_skip(d);
    }
    if (str_is(key, "persistentVolumeClaim")) {
        return claim_source(d, v);
    }
    if (str_is(key, "ephemeral")) {
        v->ephemeral = true;
        return dec_skip(d);
    }
    if (str_is(key, "image")) {
        return image_source(d, v);
    }
    if (str_is(key, "rbd")) {
        v->inline_kind = STR("rbd");
        return rbd_source(d, v);
    }
    for (size_t i = 0; i < SP_COUNTOF(inline_kinds); i++) {
        if (str_is(key, inline_kinds[i].kind)) {
            v->inline_kind = str_c(inline_kinds[i].kind);
            return disk_source(d, inline_kinds[i].id, v);
        }
    }
    return dec_skip(d);
}

static bool volume(struct k8s_dec *d, struct volume_desc *v)
{
    struct dec_iter it;
    *v = (struct volume_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        if (!(DEC_KEY(it, "name") ? dec_str(d, &v->name) : source(d, it.key, v))) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

bool dec_volumes(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    struct volume_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !volume(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        /* config maps, secrets, empty dirs and host paths do not matter for placement */
        n += p[n].claim.n > 0 || p[n].ephemeral || p[n].image.n > 0 || p[n].inline_kind.n > 0;
    }
    pod->volumes.p = p;
    pod->volumes.n = n;
    return dec_ok(d);
}

bool dec_name_ephemeral(struct k8s_dec *d, struct pod_desc *pod)
{
    for (uint32_t i = 0; i < pod->volumes.n; i++) {
        const struct volume_desc *v = &pod->volumes.p[i];
        if (!v->ephemeral) {
            continue;
        }
        size_t n = pod->meta.name.n + 1 + v->name.n;
        char *p = arena_alloc(d->a, n + 1);
        struct volume_desc *all = arena_alloc(d->a, pod->volumes.n * sizeof *all);
        if (p == NULL || all == NULL) {
            return dec_nomem(d);
        }
        if (pod->meta.name.n > 0) {
            memcpy(p, pod->meta.name.p, pod->meta.name.n);
        }
        p[pod->meta.name.n] = '-';
        if (v->name.n > 0) {
            memcpy(p + pod->meta.name.n + 1, v->name.p, v->name.n);
        }
        memcpy(all, pod->volumes.p, pod->volumes.n * sizeof *all);
        all[i].claim = (struct str){p, n};
        pod->volumes.p = all;
    }
    return true;
}
