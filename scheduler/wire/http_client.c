/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_client.h"

#include <curl/curl.h>

#include <errno.h>

#include "base/mem.h"

bool http_client_init(void)
{
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_alloc, mem_free, mem_realloc, mem_strdup,
                                mem_calloc) == CURLE_OK;
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    struct buf *body = arg;
    buf_put(body, p, size * n);
    return body->broken ? 0 : size * n;
}

static int curl_failure(CURLcode code, const struct http_ask *ask, const struct buf *body,
                        const char *detail, struct err *err)
{
    int number = -EPROTO;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        number = -EINVAL;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        number = -EHOSTUNREACH;
        break;
    case CURLE_COULDNT_CONNECT:
        number = -ECONNREFUSED;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        number = -ETIMEDOUT;
        break;
    case CURLE_OUT_OF_MEMORY:
        return err_nomem(err);
    case CURLE_WRITE_ERROR:
        number = body->broken ? -E2BIG : -EIO;
        break;
    default:
        break;
    }
    if (number == -E2BIG && body->starved) {
        return err_nomem(err);
    }
    if (number == -E2BIG) {
        return err_set(err, number, "%.200s: the answer is longer than %zu bytes", ask->url,
                       body->max);
    }
    return err_set(err, number, "%.200s: %s", ask->url,
                   detail[0] != '\0' ? detail : curl_easy_strerror(code));
}

static CURLcode set_options(CURL *curl, const struct http_ask *ask, struct curl_slist *headers,
                            struct buf *body, char *detail)
{
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_URL, ask->url);
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    }
    if (rc == CURLE_OK && ask->body.p != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n);
        rc = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body.p);
    }
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ask->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    return rc == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) : rc;
}

int http_client_call(const struct http_ask *ask, struct buf *body, int *ret_status, struct err *err)
{
    char detail[CURL_ERROR_SIZE] = "", type[200];
    long status = 0;
    CURL *curl = curl_easy_init();
    (void)snprintf(type, sizeof type, "Content-Type: %s",
                   ask->content_type != NULL ? ask->content_type : "application/json");
    /* "Expect:" alone takes the header out: no waiting for a 100 before a body. */
    struct curl_slist *headers = curl_slist_append(NULL, type);
    struct curl_slist *more = headers != NULL ? curl_slist_append(headers, "Expect:") : NULL;
    if (curl == NULL || more == NULL) {
        curl_slist_free_all(headers);
        curl_easy_cleanup(curl);
        return err_nomem(err);
    }
    CURLcode code = set_options(curl, ask, more, body, detail);
    if (code == CURLE_OK) {
        code = curl_easy_perform(curl);
    }
    if (code == CURLE_OK) {
        code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    int rc = code == CURLE_OK ? 0 : curl_failure(code, ask, body, detail, err);
    if (rc == 0) {
        *ret_status = (int)status;
    }
    curl_slist_free_all(more);
    curl_easy_cleanup(curl);
    return rc;
}
