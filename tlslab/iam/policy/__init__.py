"""The policy language of IAM: who may do what to which resource, under which conditions.

    malformed.py   the error of a document that is no policy
    situation.py   the request's context keys, looked up
    pattern.py     wildcards, and variables in them
    values.py      the types of values in conditions: numbers, dates, addresses, ...
    condition.py   condition operators
    principal.py   the Principal element
    document.py    JSON into statements, exactly
    evaluate.py    statements into a decision

All work that does not depend on the request is done when a document is parsed. It knows no service:
actions, resources and condition keys are names to it.

Source: AWS Identity and Access Management, "IAM JSON policy reference" and "Policy evaluation
logic".
"""

from tlslab.iam.policy.document import MAX_POLICY_BYTES, Policy, Statement
from tlslab.iam.policy.evaluate import Access, decide_resource, evaluate
from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.pattern import matches
from tlslab.iam.policy.situation import Context

__all__ = [
    "MAX_POLICY_BYTES",
    "Access",
    "Context",
    "MalformedPolicy",
    "Policy",
    "Statement",
    "decide_resource",
    "evaluate",
    "matches",
]
