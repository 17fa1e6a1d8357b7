/* Every small kind over the same bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "wire/k8s.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err err = ERR_NONE;
    struct str b = {(const char *)data, size};
    union {
        struct k8s_head head;
        struct namespace_desc ns;
        struct priority_class_desc pc;
        struct service_desc svc;
        struct workload_desc w;
        struct pdb_desc pdb;
        struct pv_desc pv;
        struct pvc_desc pvc;
        struct storage_class_desc sc;
        struct game_server_desc gs;
    } d;
    arena_init(&a, LIMIT_ITEM_ARENA);
    int bad = k8s_decode_head(b, &a, &d.head, &err) != 0;
    bad |= k8s_decode_namespace(b, &a, &d.ns, &err) != 0;
    if (k8s_decode_priority_class(b, &a, &d.pc, &err) == 0) {
        bad |= k8s_validate_priority_class(&d.pc, &err) != 0;
    }
    bad |= k8s_decode_service(b, &a, &d.svc, &err) != 0;
    bad |= k8s_decode_workload(b, &a, &d.w, &err) != 0;
    bad |= k8s_decode_pdb(b, &a, &d.pdb, &err) != 0;
    bad |= k8s_decode_pv(b, &a, &d.pv, &err) != 0;
    bad |= k8s_decode_pvc(b, &a, &d.pvc, &err) != 0;
    bad |= k8s_decode_storage_class(b, &a, &d.sc, &err) != 0;
    bad |= k8s_decode_game_server(b, &a, &d.gs, &err) != 0;
    if (bad && err.text[0] == 0) {
        abort();
    }
    arena_done(&a);
    return 0;
}
