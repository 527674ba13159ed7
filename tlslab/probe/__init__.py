"""Whether a client can be intercepted: any client, judged by what servers see of it.

case.py      one thing that can be wrong, and what a client made of it
catalog.py   every case there is
server.py    the server side of a case
names.py     how a client finds the servers
client.py    running the client
probing.py   the control, and then all cases
recipes.py   command lines for common clients
"""

from __future__ import annotations

from tlslab.probe.case import CONTROL, Case, Finding, Served, Severity, Verdict
from tlslab.probe.client import check_command
from tlslab.probe.names import Reach
from tlslab.probe.probing import Probe

__all__ = [
    "CONTROL",
    "Case",
    "Finding",
    "Probe",
    "Reach",
    "Served",
    "Severity",
    "Verdict",
    "check_command",
]
