/* Kubeconfigs: merging, credentials, and what is refused, with the place.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/kubeconfig.h"

#define PEM   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define PEM64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define FRAME(cluster, user)                                                              \
    "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: " \
    "{cluster: k, user: u}\n"                                                             \
    "clusters:\n- name: k\n  cluster: " cluster "\nusers:\n- name: u\n  user: " user "\n"
#define SERVER "{server: \"https://api:6443/\"}"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/spawnpoint-kubeconfig-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static const char *put(const char *name, const char *text)
{
    static char path[4][128];
    static int at;
    char *p = path[at++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, name);
    FILE *f = fopen(p, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return p;
}

static void expect(const char *text, struct kubeconfig *k)
{
    struct kubeconfig_env env = {.flag = put("config", text)};
    struct err err = ERR_NONE;
    if (kubeconfig_load(&env, k, &err) != 0) {
        fail_msg("%s:%u: %s", err.file, err.line, err.text);
    }
}

static void expect_error(const char *text, unsigned line, const char *part)
{
    struct kubeconfig_env env = {.flag = put("config", text)};
    struct kubeconfig k;
    struct err err = ERR_NONE;
    assert_true(kubeconfig_load(&env, &k, &err) < 0);
    if (strstr(err.text, part) == NULL || err.line != line ||
        (line > 0 && strstr(err.file, "/config") == NULL)) {
        fail_msg("expected line %u \"%s\", got %s:%u: %s", line, part, err.file, err.line,
                 err.text);
    }
}

static void embedded_data_and_token(void **state)
{
    (void)state;
    struct kubeconfig k;
    struct err err = ERR_NONE;
    struct buf token CLEANUP_BUF;
    buf_init(&token, 1024);
    expect(FRAME("{server: \"https://api:6443//\", certificate-authority-data: " PEM64
                 ", tls-server-name: inner}",
                 "{client-certificate-data: " PEM64 ", client-key-data: " PEM64 ", token: abc}"),
           &k);
    assert_string_equal(k.server, "https://api:6443");
    assert_true(str_is(k.identity.ca_pem, PEM));
    assert_true(str_is(k.identity.cert_pem, PEM));
    assert_true(str_is(k.identity.key_pem, PEM));
    assert_string_equal(k.identity.server_name, "inner");
    assert_int_equal(kubeconfig_token(&k, &token, &err), 0);
    assert_string_equal(token.p, "abc");
    assert_non_null(strstr(k.origin, "(context \"c\")"));
    kubeconfig_done(&k);
}

static void files_start_from_the_folder(void **state)
{
    (void)state;
    struct kubeconfig k;
    struct err err = ERR_NONE;
    struct buf token CLEANUP_BUF;
    buf_init(&token, 1024);
    (void)put("ca.pem", PEM);
    (void)put("tok", "  one\n");
    expect(FRAME("{server: \"https://api\", certificate-authority: ca.pem}",
                 "{tokenFile: tok, token: other}"),
           &k);
    assert_true(str_starts(str_c(k.identity.ca_file), str_c(dir)));
    assert_int_equal(kubeconfig_token(&k, &token, &err), 0);
    assert_string_equal(token.p, "one"); /* the file wins */
    (void)put("tok", "two");
    assert_int_equal(kubeconfig_token(&k, &token, &err), 0);
    assert_string_equal(token.p, "two");
    (void)put("tok", "no blanks allowed");
    assert_true(kubeconfig_token(&k, &token, &err) < 0);
    (void)put("tok", "\n");
    assert_true(kubeconfig_token(&k, &token, &err) < 0);
    kubeconfig_done(&k);
}

static void lists_are_merged_first_wins(void **state)
{
    (void)state;
    struct kubeconfig k;
    struct err err = ERR_NONE;
    char list[512];
    const char *a = put(
        "a", "current-context: c\nclusters:\n- {name: k, cluster: {server: \"https://first\"}}\n");
    const char *b = put("b", FRAME("{server: \"https://second\"}", "{token: t}"));
    (void)snprintf(list, sizeof list, "%s/missing:%s::%s", dir, a, b);
    struct kubeconfig_env env = {.kubeconfig = list, .home = "/nowhere"};
    assert_true(kubeconfig_present(&env));
    assert_int_equal(kubeconfig_load(&env, &k, &err), 0);
    assert_string_equal(k.server, "https://first");
    assert_string_equal(k.token, "t");
    kubeconfig_done(&k);
    env.flag = b; /* that file and no other */
    assert_int_equal(kubeconfig_load(&env, &k, &err), 0);
    assert_string_equal(k.server, "https://second");
    kubeconfig_done(&k);
    env = (struct kubeconfig_env){.kubeconfig = "/nowhere/x:/nowhere/y"};
    assert_int_equal(kubeconfig_load(&env, &k, &err), -ENOENT);
}

static void home_then_pod(void **state)
{
    (void)state;
    struct kubeconfig k;
    struct err err = ERR_NONE;
    char sub[128];
    struct kubeconfig_env env = {
        .home = dir, .service_host = "10.0.0.1", .service_port = "443", .account_dir = dir};
    (void)put("token", "secret");
    (void)put("ca.crt", PEM);
    assert_int_equal(kubeconfig_load(&env, &k, &err), 0);
    assert_string_equal(k.server, "https://10.0.0.1:443");
    assert_string_equal(k.origin, "in-cluster");
    kubeconfig_done(&k);
    env.service_host = "fd00::1";
    assert_int_equal(kubeconfig_load(&env, &k, &err), 0);
    assert_string_equal(k.server, "https://[fd00::1]:443");
    kubeconfig_done(&k);
    (void)snprintf(sub, sizeof sub, "%s/.kube", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    (void)put(".kube/config", FRAME(SERVER, "{}"));
    assert_int_equal(kubeconfig_load(&env, &k, &err),
                     0); /* a file of the user comes first, as in kubectl */
    assert_string_equal(k.server, "https://api:6443");
    kubeconfig_done(&k);
    (void)put("none", "");
    struct kubeconfig_env nothing = {.home = "/nowhere"};
    assert_false(kubeconfig_present(&nothing));
    assert_int_equal(kubeconfig_load(&nothing, &k, &err), -ENOENT);
    env = (struct kubeconfig_env){.service_host = "10.0.0.1", .account_dir = "/nowhere"};
    assert_true(kubeconfig_load(&env, &k, &err) < 0);
    assert_non_null(strstr(err.text, "/nowhere/ca.crt"));
}

static void refused_with_the_place(void **state)
{
    (void)state;
    expect_error(FRAME(SERVER, "{exec: {command: aws}}"), 12,
                 "exec \"aws\": credential plug-ins are not run");
    expect_error(FRAME(SERVER, "{auth-provider: {name: gcp}}"), 12, "auth-provider \"gcp\"");
    expect_error(FRAME(SERVER, "{username: me, password: x}"), 12,
                 "username: API servers take no passwords");
    expect_error(FRAME(SERVER, "{as: root, token: t}"), 12, "as: acting as another user");
    expect_error(FRAME(SERVER, "{client-certificate-data: \"!!!\"}"), 12,
                 "client-certificate-data: expected base64");
    expect_error(FRAME(SERVER, "{client-certificate-data: " PEM64 "}"), 12,
                 "client-certificate is given without client-key");
    expect_error(FRAME(SERVER, "{client-certificate: gone.pem}"), 12, "gone.pem: No such file");
    expect_error(FRAME(SERVER, "{tokenFile: gone}"), 12, "tokenFile: cannot read");
    expect_error(FRAME("{server: ftp://x}", "{}"), 9, "cluster \"k\": server: expected https://");
    expect_error(FRAME("{server: \"https://me:pw@x\"}", "{}"), 9, "server: expected");
    expect_error(FRAME("{server: \"https://x\", certificate-authority-data: QUFB}", "{}"), 9,
                 "expected base64 of a PEM file");
    expect_error(FRAME("{server: \"https://x\", certificate-authority-data: " PEM64
                       ", insecure-skip-tls-verify: true}",
                       "{}"),
                 9, "insecure-skip-tls-verify: a certificate-authority is given too");
    expect_error("apiVersion: v1\nkind: Config\ncurrent-context: z\n", 0,
                 "context \"z\" is named but not there");
    expect_error("apiVersion: v1\nkind: Config\n", 0, "current-context is not set");
    expect_error("apiVersion: v1\nkind: Pod\n", 0, "this is no kubeconfig");
    expect_error("", 0, "is empty");
    expect_error("clusters: [", 2, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(embedded_data_and_token, setup, teardown),
        cmocka_unit_test_setup_teardown(files_start_from_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_merged_first_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(home_then_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_with_the_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
