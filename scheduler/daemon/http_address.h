/* HOST:PORT texts and listening sockets.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define HTTP_ADDRESS_MAX 128

/* Listens on HOST:PORT or [v6]:PORT (port 0 picks one); *ret is the socket, `shown` the address as bound. */
int http_listen(const char *address, int *ret, char shown[HTTP_ADDRESS_MAX],
                struct err *err) SP_MUST_CHECK;
