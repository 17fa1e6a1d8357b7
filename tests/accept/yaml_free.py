"""Writes plain values as block YAML, so that the tests need no YAML library. SPDX-License-Identifier: Apache-2.0"""
import json


def dump(v, indent=0):
    pad = "  " * indent
    if isinstance(v, dict) and v:
        out = []
        for k, x in v.items():
            if isinstance(x, (dict, list)) and x:
                out.append("%s%s:\n%s" % (pad, json.dumps(k), dump(x, indent + 1)))
            else:
                out.append("%s%s: %s" % (pad, json.dumps(k), json.dumps(x)))
        return "\n".join(out)
    if isinstance(v, list) and v:
        return "\n".join("%s-\n%s" % (pad, dump(x, indent + 1)) if isinstance(x, (dict, list)) and x
                         else "%s- %s" % (pad, json.dumps(x)) for x in v)
    return pad + json.dumps(v)
