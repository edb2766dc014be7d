"""The second factor: codes of an authenticator, passkeys, codes on paper; and the guard of what needs a fresh one.

Where something is exported, read for many at once or adopted, the page calls `require_fresh(request)` before it shows
its form and again before it acts. Whoever showed a factor within BIHUAN_STEP_UP_MINUTES notices nothing; everybody else
shows one and comes back. For village and grid the trusted device with its PIN is both factors.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode, urlsplit

import pyotp
from django.db import transaction
from django.http import HttpRequest

from bihuan.access import log, secrets, sessions
from bihuan.access.models import Officer, Passkey, RecoveryCode, Totp
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

ISSUER = "闭环"
RECOVERY_CODES = 10
_STEP_SECONDS = 30
_DRIFT_STEPS = 1  # RFC 6238 5.2: one step of delay each way
_CHALLENGE = "passkey_challenge"


class Needed(Exception):
    """A fresh second factor is needed first. The middleware sends the reader there and back to `after`."""

    def __init__(self, after: str, *, again: bool = False) -> None:
        super().__init__(after)
        self.after, self.again = after, again

    @property
    def url(self) -> str:
        return f"/second-factor?{urlencode({'next': self.after} | ({'again': 1} if self.again else {}))}"


def is_fresh(request: HttpRequest) -> bool:
    """Whether whoever asks has shown a second factor within the last minutes."""
    standing = getattr(request, "standing", None)
    return standing is not None and standing.fresh


def require_fresh(request: HttpRequest) -> None:
    """Goes on when a second factor is fresh; else the answer is the page that asks for one and leads back here.

    After a POST it leads back to the page that the form stood on: nothing of the act was done.
    """
    if not is_fresh(request):
        after = request.get_full_path()
        if request.method not in ("GET", "HEAD"):
            came = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer", ""))
            raise Needed(f"{came.path}?{came.query}" if came.query else came.path or "/", again=True)
        raise Needed(after)


# --- codes of an authenticator ----------------------------------------------------------------------------------------


def begin_totp(officer: Officer) -> tuple[str, str]:
    """A new secret that counts once it is confirmed; its text for typing and its address for the QR code.

    Refuses (`totp_there`) when one is confirmed already: it is removed by the security administrator or with a factor.
    """
    known = Totp.objects.filter(officer=officer).first()
    if known is not None and known.confirmed_at is not None:
        raise Refused("totp_there", "已经绑定了验证器。", "An authenticator is bound already.")
    if known is not None:
        secret = secrets.open_totp(known.secret, officer.pk)
    else:
        secret = pyotp.random_base32()
        Totp.objects.create(officer=officer, secret=secrets.seal_totp(secret, officer.pk), made_at=clock.real_now())
    return secret, pyotp.TOTP(secret).provisioning_uri(name=officer.login, issuer_name=ISSUER)


def check_totp(officer: int, code: str, *, confirm: bool = False) -> bool:
    """Whether it is the code of this half minute (or its neighbours) and was not used before. `confirm`: the first one."""
    code = "".join(code.split())
    with transaction.atomic():
        row = Totp.objects.select_for_update().filter(officer=officer, confirmed_at__isnull=confirm).first()
        if row is None or not (code.isascii() and code.isdigit() and len(code) == 6):
            return False
        otp = pyotp.TOTP(secrets.open_totp(row.secret, officer))
        now = int(clock.real_now().timestamp()) // _STEP_SECONDS
        steps = [
            s
            for s in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1)
            if s > row.last_step and secrets.same(otp.generate_otp(s).encode(), code.encode())
        ]
        if not steps:
            return False
        row.last_step = steps[0]
        if confirm:
            row.confirmed_at = clock.real_now()
        row.save(update_fields=["last_step", "confirmed_at"])
    return True


def bind_for_demonstration(officer: Officer) -> None:
    """An authenticator that nobody holds, for the demonstration's officers; its codes are shown on the page that asks for them."""
    now = clock.real_now()
    sealed = secrets.seal_totp(pyotp.random_base32(), officer.pk)
    Totp.objects.create(officer=officer, secret=sealed, made_at=now, confirmed_at=now)


def present_code(officer: int) -> str | None:
    """The code of this half minute, of the demonstration's officers. None without an authenticator."""
    row = Totp.objects.filter(officer=officer, confirmed_at__isnull=False).first()
    return pyotp.TOTP(secrets.open_totp(row.secret, officer)).now() if row else None


# --- codes on paper ---------------------------------------------------------------------------------------------------


def new_recovery_codes(officer: int) -> list[str]:
    """Ten codes, shown once; the older ones are dead."""
    codes = [secrets.new_recovery_code() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(officer=officer).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(officer_id=officer, code_hash=_recovery(officer, code)) for code in codes)
    return codes


def _recovery(officer: int, code: str) -> bytes:
    return secrets.keyed("recovery", f"{officer}/{code.strip().lower().replace(' ', '-')}")


def use_recovery_code(officer: int, code: str) -> bool:
    return bool(
        RecoveryCode.objects.filter(officer=officer, code_hash=_recovery(officer, code), used_at=None).update(used_at=clock.real_now())
    )


def left_recovery_codes(officer: int) -> int:
    return RecoveryCode.objects.filter(officer=officer, used_at=None).count()


# --- passkeys ---------------------------------------------------------------------------------------------------------


def _host(request: HttpRequest) -> str:
    return request.get_host().split(":")[0]


def _origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def passkey_to_make(request: HttpRequest, officer: Officer) -> dict:
    """What the browser needs to make a passkey; the challenge stays in the session."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    made = generate_registration_options(
        rp_id=_host(request), rp_name=ISSUER,
        user_id=f"officer/{officer.pk}".encode(), user_name=officer.login, user_display_name=officer.name,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=bytes(p.credential)) for p in Passkey.objects.filter(officer=officer)],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )  # fmt: skip
    request.session[_CHALLENGE] = bytes_to_base64url(made.challenge)
    return json.loads(options_to_json(made))


def keep_passkey(request: HttpRequest, officer: Officer, answer: str, name: str) -> Passkey:
    """Refuses (`passkey_not_verified`) what was not made for this site and this challenge."""
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import InvalidRegistrationResponse, WebAuthnException

    try:
        made = verify_registration_response(
            credential=answer, expected_challenge=_challenge(request), expected_rp_id=_host(request), expected_origin=_origin(request)
        )
    except (InvalidRegistrationResponse, WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise _not_verified() from error
    return Passkey.objects.create(
        officer=officer, credential=made.credential_id, public_key=made.credential_public_key, sign_count=made.sign_count,
        name=name.strip()[:60] or "—", made_at=clock.real_now(),
    )  # fmt: skip


def passkey_to_show(request: HttpRequest, officer: int) -> dict:
    """What the browser needs to show one of the officer's passkeys."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    made = generate_authentication_options(
        rp_id=_host(request),
        allow_credentials=[PublicKeyCredentialDescriptor(id=bytes(p.credential)) for p in Passkey.objects.filter(officer=officer)],
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    request.session[_CHALLENGE] = bytes_to_base64url(made.challenge)
    return json.loads(options_to_json(made))


def check_passkey(request: HttpRequest, officer: int, answer: str) -> bool:
    """Whether one of the officer's passkeys signed this challenge for this site."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import InvalidAuthenticationResponse, WebAuthnException

    try:
        credential = base64url_to_bytes(json.loads(answer)["rawId"])
        with transaction.atomic():
            row = Passkey.objects.select_for_update().filter(officer=officer, credential=credential).first()
            if row is None:
                return False
            shown = verify_authentication_response(
                credential=answer, expected_challenge=_challenge(request), expected_rp_id=_host(request), expected_origin=_origin(request),
                credential_public_key=bytes(row.public_key), credential_current_sign_count=row.sign_count,
            )  # fmt: skip
            row.sign_count, row.used_at = shown.new_sign_count, clock.real_now()
            row.save(update_fields=["sign_count", "used_at"])
    except (InvalidAuthenticationResponse, WebAuthnException, ValueError, KeyError, TypeError, Refused):
        return False
    return True


def _challenge(request: HttpRequest) -> bytes:
    """The challenge of this session, which counts once."""
    from webauthn.helpers import base64url_to_bytes

    kept = request.session.pop(_CHALLENGE, None)
    if kept is None:
        raise _not_verified()
    return base64url_to_bytes(kept)


def _not_verified() -> Refused:
    return Refused("passkey_not_verified", "没有认出这把通行密钥，请再试一次。", "This passkey was not recognised; please try again.")


# --- what an officer has ----------------------------------------------------------------------------------------------


def has_totp(officer: int) -> bool:
    return Totp.objects.filter(officer=officer, confirmed_at__isnull=False).exists()


def remove_all(officer: int) -> None:
    """Forget every second factor of an officer; at the next sign-in new ones are bound."""
    for model in (Totp, Passkey, RecoveryCode):
        model.objects.filter(officer=officer).delete()


def shown(request: HttpRequest, by: str) -> None:
    sessions.second_shown(request, by)
    if by == "recovery":
        log.note("recovery_used", officer=request.standing.officer, request=request)
