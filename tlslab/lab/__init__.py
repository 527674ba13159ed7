"""Parties and adversaries on a network; scenarios, the evidence they leave, and verdicts on it.

lab.py          the Lab that a script gets, made of
    stage.py            the network, the CA, the journal, and who is there
    main_cast.py        how it makes the parties that most lessons need
    antagonists.py      how it makes the adversaries that most lessons need
    storage_cast.py     how it makes those of the lessons on data at rest
    supporting_cast.py  how it makes those of other single lessons
parties.py      what parties have in common, and what those that listen have
client.py       clients
services.py     servers, terminating proxies, stores
ca_services.py  the CA's revocation lists and OCSP responder
judge.py        what a client checks beyond OpenSSL: revocation, pins, logs, first use
adversaries.py  sniffers, interceptors, log readers
object_store.py the object store, with s3_client.py and kms_client.py
thieves.py      who carries disks away, and who works at a store
loot.py         what a thief makes of what he carried off
key_holders.py  who records everything and later gets a key
onlookers.py    who opens nothing and concludes from what is in sight
early_data.py   0-RTT: who sends it, who takes it, who sends it again
on_path.py      the tamperer: on the path without a key, with an attack of `tlslab.attack`
single lessons have these parties and adversaries of their own:
    browser.py        a browser, with hsts.py, cookies.py and page.py
    website.py        a site with a login form, on ports 443 and 80
    stripper.py       who keeps a browser from ever beginning TLS
    mail.py           SMTP with and without STARTTLS, on smtp_lines.py
    explicit_proxy.py clients that use a proxy, and a proxy that cheats
    identity.py       who a client is, and who it says it is
    binding.py        tokens bound to a connection
    pretence.py       clients that claim to have come over TLS, and stores that believe it
    trace_eraser.py   who reads, and removes the traces
    database_server.py  a server with a database on its disk
    volume_server.py  a server with a volume, and snapshots of it
witness.py      what passes a party's hands, told to the journal
harm.py         harm other than reading, measured at the ends
expect.py       what a script expects, checked at the end
journal.py      who told whom what, as it happens
evidence.py     what a run recorded, as plain values
verdict.py      from evidence to outcomes and cells
scenario.py     what a scenario is; finding and loading scripts
runner.py       running scenarios side by side
matrix.py       the exposure matrix
standing.py     a lab that keeps running, for clients from outside
url.py          URLs
"""

from __future__ import annotations

from tlslab.capture import Canary
from tlslab.lab.evidence import CellValue, Matrix, Outcome, RunResult, ScenarioResult, to_json
from tlslab.lab.lab import Lab, open_lab
from tlslab.lab.matrix import PROTECTIONS, Protection, measure
from tlslab.lab.runner import run_scenario, run_scenarios
from tlslab.lab.s3_client import CustomerKey
from tlslab.lab.scripts import Scenario, load_file, scenario, scenarios, select, shipped_scenarios

__all__ = [
    "PROTECTIONS",
    "Canary",
    "CellValue",
    "CustomerKey",
    "Lab",
    "Matrix",
    "Outcome",
    "Protection",
    "RunResult",
    "Scenario",
    "ScenarioResult",
    "load_file",
    "measure",
    "open_lab",
    "run_scenario",
    "run_scenarios",
    "scenario",
    "scenarios",
    "select",
    "shipped_scenarios",
    "to_json",
]
