/* Every maximum in the program, each with its reason. Over a limit is an answer (413, an error), never a crash.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define LIMIT_BODY_BYTES \
    (64u << 20) /* one extender request; a legitimate whole-node call was 4.5 MB at 420 nodes */
#define LIMIT_DEPTH \
    128 /* nesting of JSON and YAML; the API server stops at 10,000, real objects at 20 */
#define LIMIT_NODES      (1u << 20) /* largest cluster known: 130,000 nodes */
#define LIMIT_PODS       (1u << 23) /* 1,000,000 pods and room */
#define LIMIT_NAME_BYTES 1024       /* names are at most 253; opaque and longer is still handled */
#define LIMIT_ITEM_BYTES \
    (16u << 20) /* one object in a list; the API server caps objects at 3 MiB */
#define LIMIT_FILE_BYTES    (64ull << 30) /* a dump on disk is streamed, so this only stops nonsense */
#define LIMIT_YAML_BYTES    (256u << 20) /* one YAML file: it is held whole */
#define LIMIT_YAML_ALIASES  10000 /* expanded nodes by alias in one document: no billion laughs */
#define LIMIT_REQUEST_ARENA (256u << 20) /* decoded form of one request */
#define LIMIT_ITEM_ARENA    (128u << 20) /* decoded form of one object */
#define LIMIT_REPLY_BYTES   (96u << 20)
#define LIMIT_REPORT_BYTES  (1u << 30)
#define LIMIT_LABELS        4096 /* labels, annotations, tolerations, terms: per object and list */
#define LIMIT_CONTAINERS    1024
#define LIMIT_RESOURCES     512        /* distinct resource names in a cluster */
#define LIMIT_SYMBOLS       (1u << 25) /* distinct interned strings */
#define LIMIT_CLASSES       (1u << 20)
#define LIMIT_FLEETS        (1u << 16)
#define LIMIT_FOLDER_FILES  1000000
#define LIMIT_CSV_ROWS      5000000
#define LIMIT_EXPAND_PODS   1000000 /* pods that one controller may expand into */
