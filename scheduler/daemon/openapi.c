/* The OpenAPI document of both ports. Written by hand; a test checks it against the routes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "daemon/admin_json.h"

#include "spawnpoint_version.h"

#define OBJECT            "{\"type\":\"object\"}"
#define JSON_BODY(schema) "\"content\":{\"application/json\":{\"schema\":" schema "}}"
#define REFUSED                                                                               \
    "\"400\":{\"$ref\":\"#/components/responses/Refused\"},\"413\":{\"$ref\":\"#/components/" \
    "responses/Refused\"},"                                                                   \
    "\"415\":{\"$ref\":\"#/components/responses/Refused\"},\"503\":{\"$ref\":\"#/components/" \
    "responses/Refused\"}"
#define GET(path, says, type)                    \
    "\"" path "\":{\"get\":{\"summary\":\"" says \
    "\",\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{\"" type "\":{}}}}}}"

static const char *const parts[] = {
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Spawnpoint\",\"version\":"
    "\"" SPAWNPOINT_VERSION "\",\"license\":{\"name\":\"Apache-2.0\","
    "\"identifier\":\"Apache-2.0\"}},\"paths\":{",
    "\"/filter\":{\"post\":{\"summary\":\"Extender port: which of the asked nodes "
    "(the one best, the best few, or all that are "
    "not vetoed)\",\"requestBody\":{\"required\":true," JSON_BODY(
        "{\"$ref\":\"#/components/schemas/ExtenderArgs\"}") "},"
                                                            "\"responses\":{"
                                                            "\"200\":{"
                                                            "\"description\":"
                                                            "\"ExtenderFilterResult"
                                                            "\"," JSON_BODY("{\"$ref\":\"#/"
                                                                            "components/"
                                                                            "schemas/"
                                                                            "ExtenderFilterResu"
                                                                            "lt\"}") "}"
                                                                                     "," REFUSED
                                                                                     "}}},",
    "\"/prioritize\":{\"post\":{\"summary\":\"Extender port: scores 0 to 10; "
    "zero-score hosts are left out\",\"requestBody\":"
    "{\"required\":true," JSON_BODY(
        "{\"$ref\":\"#/components/schemas/ExtenderArgs\"}") "},\"responses\":{"
                                                            "\"200\":{"
                                                            "\"description\":"
                                                            "\"HostPriorityList\""
                                                            "," JSON_BODY("{\"type\":"
                                                                          "\"array\","
                                                                          "\"items\":{"
                                                                          "\"type\":"
                                                                          "\"object\","
                                                                          "\"properties\":{"
                                                                          "\"Host\":{"
                                                                          "\"type\":"
                                                                          "\"string\"},"
                                                                          "\"Score\":{"
                                                                          "\"type\":"
                                                                          "\"integer\","
                                                                          "\"minimum\":1,"
                                                                          "\"maximum\":10}}}"
                                                                          "}") "}," REFUSED "}}},",
    "\"/v1/place\":{\"post\":{\"summary\":\"Where would these pods go if these "
    "nodes existed; nothing is kept\",\"requestBody\":{"
    "\"required\":true," JSON_BODY("{\"type\":\"object\",\"required\":[\"pods\"],"
                                   "\"properties\":{\"pods\":{\"type\":\"array\","
                                   "\"items\":" OBJECT "},"
                                   "\"nodes\":{\"type\":\"array\",\"items\":" OBJECT
                                   "},\"replaceNodes\":{\"type\":\"boolean\","
                                   "\"default\":false},"
                                   "\"explain\":{\"type\":\"boolean\",\"default\":"
                                   "false}}}") "},\"responses\":{\"200\":{"
                                               "\"description\":\"Placements in "
                                               "order\"," JSON_BODY("{\"type\":"
                                                                    "\"object\","
                                                                    "\"properties\""
                                                                    ":{"
                                                                    "\"placements\""
                                                                    ":{\"type\":"
                                                                    "\"array\","
                                                                    "\"items\":{"
                                                                    "\"type\":"
                                                                    "\"object\","
                                                                    "\"properties\""
                                                                    ":{"
                                                                    "\"pod\":{"
                                                                    "\"type\":"
                                                                    "\"string\"},"
                                                                    "\"node\":{"
                                                                    "\"type\":["
                                                                    "\"string\","
                                                                    "\"null\"]},"
                                                                    "\"message\":{"
                                                                    "\"type\":"
                                                                    "\"string\"}}}}"
                                                                    ","
                                                                    "\"explanations"
                                                                    "\":{\"type\":"
                                                                    "\"array\","
                                                                    "\"items\""
                                                                    ":" OBJECT "}}}") "}"
                                                                                      "," REFUSED
                                                                                      "}}},",
    "\"/v1/explain\":{\"get\":{\"summary\":\"The newest decision about a pod: why "
    "here, why not there\",\"parameters\":[{\"name\":"
    "\"pod\",\"in\":\"query\",\"required\":true,\"schema\":{\"type\":\"string\","
    "\"examples\":[\"games/arena-1\"]}}],\"responses\":{"
    "\"200\":{\"description\":\"Explanation\"," JSON_BODY(
        OBJECT) "},\"404\":{\"$ref\":\"#/components/responses/Refused\"}}}},",
    "\"/v1/decisions\":{\"get\":{\"summary\":\"The last decisions, newest "
    "first\",\"parameters\":[{\"name\":\"limit\",\"in\":\"query\","
    "\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1024,\"default\":"
    "1024}}],\"responses\":{\"200\":{\"description\":"
    "\"DecisionList\"," JSON_BODY(OBJECT) "}}}},",
    GET("/livez", "Whether the process runs", "text/plain") ",",
    GET("/readyz", "Whether it answers; ?verbose lists the checks", "text/plain") ",",
    GET("/healthz", "The same as /livez", "text/plain") ",",
    GET("/metrics", "Prometheus text 0.0.4", "text/plain") ",",
    GET("/version", "Version of the program", "application/json") ",",
    GET("/configz", "The configuration in force", "application/json") ",",
    GET("/openapi.json", "This document", "application/json") ",",
    GET("/", "The last decisions as a page", "text/html"),
    "},\"components\":{\"responses\":{\"Refused\":{\"description\":\"What is wrong "
    "with the request\"," JSON_BODY(
        "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{"
        "\"type\":\"string\"}}}") "}},",
    "\"schemas\":{\"ExtenderArgs\":{\"type\":\"object\",\"required\":[\"Pod\"],"
    "\"properties\":{\"Pod\":" OBJECT
    ",\"Nodes\":{\"type\":[\"object\",\"null\"]},\"NodeNames\":{\"type\":["
    "\"array\",\"null\"],\"items\":{\"type\":\"string\"}}}},",
    "\"ExtenderFilterResult\":{\"type\":\"object\",\"properties\":{\"Nodes\":{"
    "\"type\":[\"object\",\"null\"]},\"NodeNames\":{\"type\":["
    "\"array\",\"null\"],\"items\":{\"type\":\"string\"}},\"FailedNodes\":{"
    "\"type\":\"object\",\"additionalProperties\":{\"type\":"
    "\"string\"}},\"FailedAndUnresolvableNodes\":{\"type\":\"object\","
    "\"additionalProperties\":{\"type\":\"string\"}},\"Error\":{"
    "\"type\":\"string\"}}}}}}",
};

void openapi_write(struct buf *out)
{
    for (size_t i = 0; i < SP_COUNTOF(parts); i++) {
        buf_lit(out, parts[i]);
    }
}
