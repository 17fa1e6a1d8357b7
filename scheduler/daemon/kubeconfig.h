/* Which API server, and who we are there: a kubeconfig, or what a pod finds in its own file system.
 *
 * As kubectl looks: the file that is named and no other; else the files of $KUBECONFIG, where the first that sets a name
 * wins and missing ones are skipped; else ~/.kube/config; else the service account of the pod. Relative paths start from
 * the folder of the file they stand in. Errors name the file and the field. Exec and auth-provider plug-ins are refused.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "wire/http_client.h"

struct kubeconfig {
    struct arena arena;
    const char *origin; /* "/path/config (context \"x\")" or "in-cluster" */
    const char *server; /* URL without a slash at its end */
    struct http_identity identity;
    const char *token;      /* NULL = none */
    const char *token_file; /* wins over token; read again and again */
};
/* What is looked at, so that tests can set it. NULL members: not set. */
struct kubeconfig_env {
    const char *flag; /* --kubeconfig */
    const char *kubeconfig, *home, *service_host, *service_port;
    const char *account_dir; /* normally /var/run/secrets/kubernetes.io/serviceaccount */
};
void kubeconfig_env_read(struct kubeconfig_env *ret, const char *flag);
/* Whether there is anything to load: without it the program says that it has no cluster. */
bool kubeconfig_present(const struct kubeconfig_env *env);
/* -ENOENT: nothing names a cluster; -EINVAL, -EACCES, -E2BIG. On failure nothing is held. */
int kubeconfig_load(const struct kubeconfig_env *env, struct kubeconfig *ret,
                    struct err *err) SP_MUST_CHECK;
void kubeconfig_done(struct kubeconfig *k);
/* The token as it is now, NUL-terminated in `out` (empty when there is none). */
int kubeconfig_token(const struct kubeconfig *k, struct buf *out, struct err *err) SP_MUST_CHECK;
