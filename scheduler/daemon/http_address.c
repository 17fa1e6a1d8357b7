// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/http_server.h"

#define BACKLOG 128

static int resolve(const char *address, struct sockaddr_storage *ret, socklen_t *ret_n,
                   struct err *err)
{
    struct str s = str_c(address), host, port;
    const char *colon = strrchr(address, ':');
    if (!colon) {
        return err_set(err, -EINVAL, "address \"%s\" has no port: write HOST:PORT or [IPV6]:PORT",
                       address);
    }
    host = (struct str){s.p, (size_t)(colon - s.p)};
    port = str_c(colon + 1);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct str){host.p + 1, host.n - 2};
    } else if (memchr(host.p, ':', host.n)) {
        return err_set(err, -EINVAL, "address \"%s\": an IPv6 host stands in brackets, [::1]:10270",
                       address);
    }
    int64_t number = 0;
    if (!str_to_i64(port, &number) || number < 0 || number > 65535) {
        return err_set(err, -EINVAL, "address \"%s\": the port is a number from 0 to 65535",
                       address);
    }
    char host_c[256], port_c[16];
    (void)snprintf(host_c, sizeof host_c, STR_FMT, STR_ARG(host));
    (void)snprintf(port_c, sizeof port_c, "%d", (int)number);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host.n > 0 ? host_c : NULL, port_c, &hints, &list);
    if (rc != 0 || !list) {
        return err_set(err, -EINVAL, "address \"%s\": %s", address,
                       rc != 0 ? gai_strerror(rc) : "nothing found");
    }
    const struct addrinfo *pick = list;
    for (const struct addrinfo *a = list; host.n == 0 && a; a = a->ai_next) {
        pick = a->ai_family == AF_INET6 ? a : pick; /* ":PORT" is every address of both families */
    }
    memcpy(ret, pick->ai_addr, pick->ai_addrlen);
    *ret_n = pick->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

int http_address_loopback(const char *listen_address, bool *ret, struct err *err)
{
    struct sockaddr_storage a = {0};
    socklen_t n = 0;
    int rc = resolve(listen_address, &a, &n, err);
    if (rc == 0) {
        *ret = is_loopback(&a);
    }
    return rc;
}

static void show(const struct sockaddr_storage *a, char out[HTTP_ADDRESS_MAX])
{
    char host[64] = "?";
    if (a->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        (void)snprintf(out, HTTP_ADDRESS_MAX, "%s:%d", host, ntohs(in.sin_port));
        return;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
    (void)snprintf(out, HTTP_ADDRESS_MAX, "[%s]:%d", host, ntohs(in6.sin6_port));
}

int http_listen(const char *address, int *ret, char shown[HTTP_ADDRESS_MAX], struct err *err)
{
    struct sockaddr_storage a = {0};
    socklen_t n = 0;
    int rc = resolve(address, &a, &n, err), on = 1, off = 0;
    if (rc != 0) {
        return rc;
    }
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, -errno, "cannot make a socket for %s: %s", address,
                       strerrorname_np(errno));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, (const struct sockaddr *)&a, n) != 0 || listen(fd, BACKLOG) != 0) {
        rc = err_set(err, -errno, "cannot listen on %s: %s", address,
                     errno == EADDRINUSE ? "the port is in use" : strerrordesc_np(errno));
        (void)close(fd);
        return rc;
    }
    n = sizeof a;
    (void)getsockname(fd, (struct sockaddr *)&a, &n);
    show(&a, shown);
    *ret = fd;
    return 0;
}
