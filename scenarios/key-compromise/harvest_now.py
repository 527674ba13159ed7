"""Harvest now, decrypt later: recorded today, opened on the day there is a quantum computer.

That machine is simulated: the lab hands over the secrets of exactly those connections whose key
agreement Shor's algorithm would break, and says so in the evidence.
"""

from tlslab import KeyType, Lab, Version, scenario, scenarios


@scenarios(
    {
        "X25519": {"group": "X25519"},
        "P-256": {"group": "P-256"},
        "P-384": {"group": "P-384"},
    },
    group="key-compromise",
    outcome="breached",
    twin="hybrid_key_agreement_outlives_the_quantum_computer[X25519MLKEM768]",
)
async def classical_key_agreement_is_harvested(lab: Lab, group: str) -> None:
    """What was agreed on with {group} alone can be read by whoever kept the recording long enough.

    TLS 1.3 and forward secrecy do not help: the public keys that are in the recording suffice.
    """
    clinic = await lab.server("clinic.test")
    client = lab.client(groups=(group,))
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received(diagnosis)
    lab.expect(harvester).saw(diagnosis)


@scenario(
    group="key-compromise",
    outcome="breached",
    twin="hybrid_key_agreement_outlives_the_quantum_computer[X25519MLKEM768]",
)
async def tls12_is_harvested(lab: Lab) -> None:
    """TLS 1.2 knows no post-quantum key agreement: whatever both ends can do, it is harvested."""
    clinic = await lab.server("clinic.test")
    client = lab.client(maximum=Version.TLS_1_2)
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received(diagnosis)
    lab.expect(harvester).saw(diagnosis)


@scenario(
    group="key-compromise",
    outcome="breached",
    twin="hybrid_key_agreement_outlives_the_quantum_computer[X25519MLKEM768]",
)
async def static_rsa_is_harvested(lab: Lab) -> None:
    """A secret that was encrypted to an RSA key is found by factoring the key, without a theft."""
    cipher = "AES128-GCM-SHA256"
    clinic = await lab.server("clinic.test", key_type=KeyType.RSA_2048, ciphers=cipher)
    client = lab.client(ciphers=cipher, maximum=Version.TLS_1_2)
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received(diagnosis)
    lab.expect(harvester).saw(diagnosis)


@scenarios(
    {
        "X25519MLKEM768": {"group": "X25519MLKEM768"},
        "SecP256r1MLKEM768": {"group": "SecP256r1MLKEM768"},
        "MLKEM768": {"group": "MLKEM768"},
    },
    group="key-compromise",
    twin="classical_key_agreement_is_harvested[X25519]",
)
async def hybrid_key_agreement_outlives_the_quantum_computer(lab: Lab, group: str) -> None:
    """With {group} the same recording stays shut: half of the secret is no discrete logarithm.

    That both ends can do this is in plain sight, in the hellos.
    """
    clinic = await lab.server("clinic.test", groups=(group, "X25519"))
    client = lab.client(groups=(group, "X25519"))
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received(diagnosis)
    lab.expect(harvester).saw_no(diagnosis)
    lab.expect(harvester).learned(group=group)


@scenario(group="key-compromise", outcome="breached", twin="who_insists_on_hybrid_is_not_harvested")
async def an_old_server_makes_it_classical(lab: Lab) -> None:
    """A client that prefers X25519MLKEM768 falls back without a word if the server lacks it."""
    clinic = await lab.server("clinic.test", groups=("X25519",))
    client = lab.client()
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received(diagnosis)
    lab.expect(harvester).saw(diagnosis)
    lab.expect(harvester).learned(group="x25519")


@scenario(group="key-compromise", twin="an_old_server_makes_it_classical")
async def who_insists_on_hybrid_is_not_harvested(lab: Lab) -> None:
    """A client that offers nothing but X25519MLKEM768 gets no connection, and tells nothing."""
    clinic = await lab.server("clinic.test", groups=("X25519",))
    client = lab.client(groups=("X25519MLKEM768",))
    harvester = lab.quantum_computer()
    diagnosis = lab.canary("diagnosis")

    with lab.expect(clinic).refuses(alert="handshake_failure"):
        await client.post(clinic.url("/letter"), diagnosis)

    lab.expect(clinic).received_no(diagnosis)
    lab.expect(harvester).saw_no(diagnosis)
