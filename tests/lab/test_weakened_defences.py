"""Every shipped scenario ends as it declares, and no headline one survives without its defence.

The weakened scripts are the shipped ones with one defence taken out of their text. Each must end
breached; a verdict that does not change when the defence goes would be a guess.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tlslab.lab import Outcome, Scenario, load_file, run_scenario, shipped_scenarios

SHIPPED = {scenario.id: scenario for scenario in shipped_scenarios()}

CAREFUL = "client = lab.client()"
CARELESS = "client = lab.client(verify_chain=False, verify_name=False)"

WEAKENED = {
    "tls_hides_the_payload": ('server("shop.test")', 'server("shop.test", tls=False)'),
    "tls13_hides_the_certificate": ('.test"])', '.test"], maximum=Version.TLS_1_2)'),
    "tls_hides_the_chat": ('server("chat.test")', 'server("chat.test", tls=False)'),
    "mitm_cannot_join_the_chat": (CAREFUL, CARELESS),
    "mitm_with_unknown_ca_is_refused": (CAREFUL, CARELESS),
    "wrong_name_is_refused": (CAREFUL, "client = lab.client(verify_name=False)"),
    "without_the_rogue_root_mitm_is_refused": (
        "mallory = await lab.interceptor(victim=client)",
        "mallory = await lab.interceptor(victim=client); client.trust(mallory.authority.root)",
    ),
    "mutual_tls_keeps_mitm_from_being_the_client": (', client_certificate="required"', ""),
    "tls_to_the_backend_hides_it": ("encrypted=True, tls=True", "encrypted=True"),
    "disk_thief_gets_ciphertext": ("encrypted=True", "encrypted=False"),
    "database_thief_gets_ciphertext": (', key_from=store', ""),
    "keys_of_a_kms_lie_elsewhere": (', encryption=await store.kms_key("records")', ""),
    "insider_without_the_key_is_refused": (', encryption=await store.kms_key("records")', ""),
    "disabled_key_opens_nothing_at_once": ("await key.disable()", "pass"),
    "deleted_key_takes_the_backup_along": (
        "await key.schedule_deletion(days=7)\n    await store.days_later(8)", "pass",
    ),
    "rotation_keeps_new_objects_from_an_old_copy": ("await key.rotate()", "pass"),
    "rewrapped_object_is_shut_to_the_old_copy": (
        'await store.rewrap("/records/customer.txt", key)', "pass",
    ),
    "customer_key_leaves_nothing_to_steal": ("record, headers=key.headers", "record"),
    "customer_key_travels_within_tls": ('"shop.test", store', '"shop.test", store, tls=False'),
    "claim_of_tls_is_not_believed[field]": ("lab.store()", "lab.store(believes=claim)"),
    "claim_of_tls_is_not_believed[proxy-header]": ("lab.store()", "lab.store(believes=claim)"),
    "policy_refuses_what_is_not_encrypted": (
        'await store.set_policy("records", only_with(key.arn))', "pass",
    ),
    "policy_refuses_another_key": (
        'await store.set_policy("records", only_with(key.arn))', "pass",
    ),
    "policy_refuses_what_comes_in_clear": (
        'await store.set_policy("records", ONLY_OVER_TLS)', "pass",
    ),
    "trail_cannot_be_cleaned_unseen": (', encryption=key', ""),
    "volume_thief_gets_ciphertext": (", key=key", ""),
    "snapshot_is_encrypted_anew_for_another_region": (
        'region="eu-west-1"', 'region="eu-west-1", policy=BOB_MAY_USE_IT',
    ),
    "data_key_opens_in_its_context_only": ("{**BOB, **OF_SALES}", "BOB"),
    "client_side_encryption_trusts_nobody": ("sealed, metadata=", "record, metadata="),
    "hsts_learned_before_keeps_tls": (", hsts=A_YEAR", ""),
    "preloaded_host_is_safe_at_first_visit": ('preloaded=["shop.test"]', ""),
    "typed_https_leaves_nothing_to_strip": ('"https://shop.test/"', '"shop.test"'),
    "covered_subdomain_keeps_tls": ("=WITH_SUBDOMAINS", "=A_YEAR"),
    "made_up_name_is_covered": ("=WITH_SUBDOMAINS", "=A_YEAR"),
    "upgraded_form_is_sent_over_tls": ('csp="upgrade-insecure-requests"', "csp=None"),
    "secure_cookie_stays_within_tls": ('"Secure; HttpOnly"', '"HttpOnly"'),
    "hsts_keeps_the_websocket_within_tls": ('hsts="max-age=31536000"', "hsts=None"),
    "required_starttls_sends_nothing_without": ('tls="required"', 'tls="if offered"'),
    "forgotten_buffer_stops_injected_commands": ("buffer=True", "buffer=False"),
    "hsts_leaves_no_warning_to_click_away": ('hsts="max-age=31536000"', "hsts=None"),
    "cheating_proxy_is_found_out_by_the_name": (
        'proxied_client("proxy.test"', 'proxied_client("proxy.test", verify_name=False',
    ),
    "impostor_without_a_certificate_is_refused": ('="required"', '="optional"'),
    "alternative_name_tells_them_apart": (
        "reply=statement)", 'reply=statement, identified_by="common name")',
    ),
    "only_the_proxy_tells_who_it_is": ('proxy="front.test",', ""),
    "proxy_removes_a_forged_identity": (
        '"front.test", bank', '"front.test", bank, removes_forged=False',
    ),
}  # fmt: skip
"""By scenario: a piece of its source, and what stands there instead without the defence."""


@pytest.mark.parametrize("name", SHIPPED)
async def test_a_shipped_scenario_ends_as_declared(name: str, tmp_path: Path) -> None:
    result = await run_scenario(SHIPPED[name], tmp_path)
    unmet = [check for check in result.checks if not check.holds]
    assert result.error is None
    assert unmet == []
    assert result.as_declared, result.reason
    assert result.checks, "a scenario that expects nothing teaches nothing"


def test_every_headline_defence_is_weakened_here() -> None:
    headline = {
        one.id for one in SHIPPED.values() if one.headline and one.outcome is Outcome.DEFENDED
    }
    assert headline <= WEAKENED.keys()


def test_every_defence_at_rest_is_weakened_here() -> None:
    at_rest = {
        one.id
        for one in SHIPPED.values()
        if one.group == "at-rest" and one.outcome is Outcome.DEFENDED
    }
    assert at_rest <= WEAKENED.keys()


@pytest.mark.parametrize("name", WEAKENED)
async def test_without_its_defence_the_attack_wins(name: str, tmp_path: Path) -> None:
    result = await run_scenario(weakened(SHIPPED[name], tmp_path), tmp_path)
    assert result.outcome is Outcome.BREACHED, result.reason
    assert not result.as_declared
    sightings = [sighting for party in result.parties for sighting in party.sightings]
    assert sightings or any(party.achievements for party in result.parties)
    for sighting in sightings:
        assert (tmp_path / sighting.file).is_file()


def weakened(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario without its defence; checks that the text to be replaced was there once."""
    defence, instead = WEAKENED[scenario.id]
    assert scenario.source.count(defence) == 1
    text = scenario.path.read_text()
    start = text.index(scenario.source)
    changed = scenario.source.replace(defence, instead)
    path = folder / scenario.path.name
    path.write_text(text[:start] + changed + text[start + len(scenario.source) :])
    return next(one for one in load_file(path) if one.id == scenario.id)
