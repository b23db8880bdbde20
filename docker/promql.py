"""Finds the metrics and labels in a PromQL query. Covers only the syntax needed for that; promtool validates queries."""

import re

AGGREGATION = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"\{([^}]*)\}")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"}
# Labels that Prometheus adds to everything.
COMMON = {"job", "instance", "alertname", "severity", "alertstate", "le"}


def names(query):
    """Returns the metrics of a query."""
    text = STRING.sub("", query)
    text = re.sub(r"\[[^\]]*\]", "", AGGREGATION.sub("", MATCHERS.sub("", text)))
    return {name for name in NAME.findall(text) if name.lower() not in WORDS}


def labels(query):
    """Returns the labels of a query, except those that every metric has."""
    text = STRING.sub('""', query)
    found = {part.strip() for group in AGGREGATION.findall(text) for part in group[1].split(",")}
    for matchers in MATCHERS.findall(text):
        found |= {re.split(r"[=!]", part)[0].strip() for part in matchers.split(",")}
    return {label for label in found if label} - COMMON
