/* The scanner's scalar path: the same tests on a scanner that is compiled here without SSE2.
 * SPDX-License-Identifier: Apache-2.0 */
#define SP_SCAN_SCALAR 1
#include "../../scheduler/wire/scan.c"

#ifdef SCAN_SSE2
#error "this program is for the scalar path"
#endif

#include "test_wire_scan.c"
