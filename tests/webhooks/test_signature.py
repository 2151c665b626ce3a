"""Verification of signatures: the published vectors, and everything that must not pass for one."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from django_sendcloud.webhooks.signature import sign, verify

# (key, body, signature), both published: one with Sendcloud's documentation of webhooks, one with a PHP client's tests.
VECTORS = [
    ("secretkey", b'{"key": "value"}', "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"),
    (
        "be7e2f9eb99716d4698bbe8220eea46f",
        Path(__file__).with_name("published.json").read_bytes(),
        "fd38c9dae7cf11f22c66470fabef28e415b086cebea2e9cfccafe4eaca672ba2",
    ),
]
KEY, BODY, SIGNATURE = VECTORS[0]


@pytest.mark.parametrize(("key", "body", "signature"), VECTORS)
def test_published_vectors(key: str, body: bytes, signature: str) -> None:
    assert sign(body, key) == signature
    assert verify(body, signature, [key])


def test_signature_covers_raw_bytes() -> None:
    assert not verify(b'{"key":"value"}', SIGNATURE, [KEY])
    assert not verify(BODY + b"\n", SIGNATURE, [KEY])


@pytest.mark.parametrize("signature", [SIGNATURE.upper(), f" {SIGNATURE}", f"{SIGNATURE}\t"])
def test_case_and_surrounding_space_do_not_matter(signature: str) -> None:
    assert verify(BODY, signature, [KEY])


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        " ",
        SIGNATURE[:-1],
        SIGNATURE[1:],
        SIGNATURE + "0",
        "0" * 64,
        "é" * 64,
        "\udcff" * 64,
        "x" * 10_000,
        SIGNATURE.replace("1", "l"),
        f"sha256={SIGNATURE}",
        hmac.new(KEY.encode(), BODY, hashlib.sha1).hexdigest(),
    ],
)
def test_wrong_signature_is_rejected_without_error(signature: str | None) -> None:
    assert not verify(BODY, signature, [KEY])


def test_signature_by_one_of_several_keys_passes() -> None:
    assert verify(BODY, SIGNATURE, ["another", KEY])
    assert verify(BODY, SIGNATURE, [KEY, "another"])
    assert not verify(BODY, SIGNATURE, ["another", "and another"])


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_empty_key_verifies_nothing(secrets: list[str]) -> None:
    assert not verify(BODY, sign(BODY, ""), secrets)
