"""What a PromQL query asks for: metrics with the labels it uses of them. Only as much of the language as that takes;
promtool says whether a query is right.

Owns: reading queries. Must not know: which metrics there are."""

import re

AGGREGATION = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"\{([^}]*)\}")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"}
# Labels that Prometheus adds to everything.
COMMON = {"job", "instance", "alertname", "severity", "alertstate", "le"}


def names(query):
    """The metrics of a query."""
    text = STRING.sub("", query)
    text = re.sub(r"\[[^\]]*\]", "", AGGREGATION.sub("", MATCHERS.sub("", text)))
    return {name for name in NAME.findall(text) if name.lower() not in WORDS}


def labels(query):
    """The labels it names anywhere, but for those that everything has."""
    text = STRING.sub('""', query)
    found = {part.strip() for group in AGGREGATION.findall(text) for part in group[1].split(",")}
    for matchers in MATCHERS.findall(text):
        found |= {re.split(r"[=!]", part)[0].strip() for part in matchers.split(",")}
    return {label for label in found if label} - COMMON
