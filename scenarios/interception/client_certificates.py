"""Client certificates that prove nothing: an impostor wants the statement that is Alice's.

Whether the bank asks for a certificate, insists on one, verifies it, and reads the right name in it
are four questions. Every one of them has been answered wrongly in the field.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tlslab import Lab, scenario, scenarios
from tlslab.pki import Authority, Credential


def of_another_ca(ca: Authority) -> Credential:
    """A certificate in Alice's name, by a CA that Mallory has made."""
    return Authority.create("another CA").issue("alice.test", profile="client")


def expired(ca: Authority) -> Credential:
    """A certificate that was Alice's until three weeks ago."""
    last_month = datetime.now(UTC) - timedelta(days=30)
    return ca.issue("alice.test", profile="client", now=last_month, lifetime=timedelta(days=7))


def for_servers(ca: Authority) -> Credential:
    """Alice's certificate for her web server."""
    return ca.issue("alice.test", profile="server")


BAD_CERTIFICATES = {
    "of another CA": {"issue": of_another_ca, "x509": 20, "alert": "unknown_ca"},
    "expired": {"issue": expired, "x509": 10, "alert": "certificate_expired"},
    "for servers": {"issue": for_servers, "x509": 26, "alert": "unsupported_certificate"},
}


@scenarios(BAD_CERTIFICATES, group="interception", twin="bank_that_asks_nobody_serves_the_impostor")
async def bad_client_certificate_is_refused(
    lab: Lab, issue: Callable[[Authority], Credential], x509: int, alert: str
) -> None:
    """A bad client certificate is refused in the handshake: X509 error {x509}, alert {alert}."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement, client_certificate="required")
    mallory = lab.impostor(certificate=issue(lab.ca))

    with lab.expect(bank).refuses(x509=x509, alert=alert):
        await mallory.get(bank.url("/statement"))

    lab.expect(mallory).saw_no(statement)


@scenario(
    group="interception", outcome="breached", twin="impostor_without_a_certificate_is_refused"
)
async def bank_that_asks_nobody_serves_the_impostor(lab: Lab) -> None:
    """A bank that asks for no certificate serves everybody, with a bad one or with none."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement)
    mallory = lab.impostor()

    await mallory.get(bank.url("/statement"))

    lab.expect(mallory).saw(statement)


@scenario(
    group="interception", outcome="breached", twin="impostor_without_a_certificate_is_refused"
)
async def optional_certificate_is_taken_for_required(lab: Lab) -> None:
    """A certificate that is asked for, but not insisted on, keeps out only who shows a bad one."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement, client_certificate="optional")
    mallory = lab.impostor()

    await mallory.get(bank.url("/statement"))

    lab.expect(mallory).saw(statement)


@scenario(group="interception", twin="optional_certificate_is_taken_for_required")
async def impostor_without_a_certificate_is_refused(lab: Lab) -> None:
    """A required certificate is required in the handshake, before any request is read."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement, client_certificate="required")
    mallory = lab.impostor()

    with lab.expect(bank).refuses(alert="certificate_required"):
        await mallory.get(bank.url("/statement"))

    lab.expect(mallory).saw_no(statement)


@scenario(group="interception", twin="optional_certificate_is_taken_for_required")
async def optional_certificate_is_looked_at(lab: Lab) -> None:
    """With an optional certificate, the application has to look whether it is there, and whose."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, client_certificate="optional"
    )
    alice = lab.client("alice", certificate=True)
    mallory = lab.impostor()

    await alice.get(bank.url("/statement"))
    with lab.expect(bank).refuses():
        await mallory.get(bank.url("/statement"))

    lab.expect(alice).received(statement)
    lab.expect(mallory).saw_no(statement)


@scenario(group="interception", outcome="breached", twin="alternative_name_tells_them_apart")
async def common_name_is_taken_for_identity(lab: Lab) -> None:
    """The CA has verified that Mallory is mallory.test; the common name was hers to choose."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, identified_by="common name"
    )
    hers = lab.ca.issue("mallory.test", profile="client", common_name="alice.test")
    mallory = lab.impostor(certificate=hers)

    await mallory.get(bank.url("/statement"))

    lab.expect(mallory).saw(statement)


@scenario(group="interception", twin="common_name_is_taken_for_identity")
async def alternative_name_tells_them_apart(lab: Lab) -> None:
    """The same certificate where the bank goes by the alternative name, which the CA verifies."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server("bank.test", owner="alice.test", reply=statement)
    alice = lab.client("alice", certificate=True)
    hers = lab.ca.issue("mallory.test", profile="client", common_name="alice.test")
    mallory = lab.impostor(certificate=hers)

    await alice.get(bank.url("/statement"))
    with lab.expect(bank).refuses():
        await mallory.get(bank.url("/statement"))

    lab.expect(alice).received(statement)
    lab.expect(mallory).saw_no(statement)
