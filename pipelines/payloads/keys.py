"""Names of payloads: by content, and each its owner's alone, so that what goes with one job never takes another's.

    <tenant>/<first 2>/<sha256>-i<job id>.<generation>      an input
    <tenant>/<first 2>/<sha256>-r<row>.<fence>              a result, of one claim
    <tenant>/uploads/<32 hex>[-<sha256>]                    an upload, before and after a job took it

Keys are made here, of parts that were checked, and nowhere else: no path from outside is ever used.
"""

import hashlib
import re
from collections.abc import Callable

_TENANT = "(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}|_[0-9a-f]{64})"
_DIGEST = "[0-9a-f]{64}"
_OWNER = "[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
_UPLOAD = f"[0-9a-f]{{32}}(?:-(?P<given>{_DIGEST}))?"
_KEY = re.compile(
    f"(?P<tenant>{_TENANT})/(?:uploads/{_UPLOAD}|(?P<first>[0-9a-f]{{2}})/(?P<digest>{_DIGEST})-"
    rf"(?:[ih]{_OWNER}\.[0-9]{{1,19}}|r(?P<row>[0-9]{{1,19}})\.[0-9]{{1,19}}))"
)
_IS_TENANT, _IS_OWNER, _IS_UPLOAD, _IS_DIGEST = (re.compile(part) for part in (_TENANT, _OWNER, _UPLOAD, _DIGEST))


def of_input(tenant: str, job: str, generation: int, data: bytes) -> str:
    # A direct producer's ids may be any text.
    owner = f"i{job}" if _IS_OWNER.fullmatch(job) else f"h{hashlib.sha256(job.encode()).hexdigest()}"
    return _of_content(tenant, f"{owner}.{generation}", data)


def of_result(tenant: str, row: int, fence: int, data: bytes) -> str:
    """Of one claim: what another claim of the row put is another payload, so that none is ever written twice."""
    return _of_content(tenant, f"r{row}.{fence}", data)


def of_upload(tenant: str, upload: str) -> str:
    """Raises ValueError when `upload` is no upload's id."""
    if not _IS_UPLOAD.fullmatch(upload):
        raise ValueError("expected the upload_id of POST /uploads")
    return f"{_folder(tenant)}/uploads/{upload}"


def new_upload(random_bits: Callable[[int], int], sha256: str | None) -> str:
    """An id that nobody guesses. `sha256`, in hex, binds it to its content."""
    return f"{random_bits(128):032x}" + ("" if sha256 is None else f"-{sha256}")


def is_digest(text: str) -> bool:
    return _IS_DIGEST.fullmatch(text) is not None


def check(key: str) -> str:
    """The key itself. Raises ValueError when it is none: a row that somebody changed by hand must lead nowhere."""
    found = _KEY.fullmatch(key)
    if found is None or (found["digest"] or "")[:2] != (found["first"] or ""):
        raise ValueError(f"no payload's key: {key[:200]!r}")
    return key


def is_key(text: str) -> bool:
    """Others put things among payloads too: a file system, a file browser, the console of S3."""
    try:
        return check(text) == text
    except ValueError:
        return False


def digest_of(key: str) -> str | None:
    """Hex sha256 of the content; None for an upload that nobody named the sha256 of."""
    found = _KEY.fullmatch(key)
    return None if found is None else found["digest"] or found["given"]


def is_upload(key: str) -> bool:
    found = _KEY.fullmatch(key)
    return found is not None and found["first"] is None


def row_of(key: str) -> int | None:
    """The row whose result it is; None when it is none."""
    found = _KEY.fullmatch(key)
    return None if found is None or found["row"] is None else int(found["row"])


def _of_content(tenant: str, owner: str, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"{_folder(tenant)}/{digest[:2]}/{digest}-{owner}"


def _folder(tenant: str) -> str:
    """The settings allow only names; the command line takes any text for a tenant."""
    return tenant if _IS_TENANT.fullmatch(tenant) else f"_{hashlib.sha256(tenant.encode()).hexdigest()}"
