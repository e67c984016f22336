"""What S3 and its client say went wrong, in one line with what to do."""

from typing import TypeAlias

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # botocore's own
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError

from pipelines.s3.address import S3Address

Raised: TypeAlias = BotoCoreError | ClientError | ResponseParserError
RAISED = (BotoCoreError, ClientError, ResponseParserError)
"""What a call of the client may raise."""

_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_LOST = frozenset({"PreconditionFailed", "412", *_ABSENT})
_CONFLICT = frozenset({"ConditionalRequestConflict", "OperationAborted", "409"})
_FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
_UNKNOWN = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"}
)
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


def code_of(fault: BaseException) -> str:
    """S3's own; empty when the call never came that far."""
    return str(fault.response.get("Error", {}).get("Code", "")) if isinstance(fault, ClientError) else ""


def is_absent(fault: BaseException) -> bool:
    """The object is not there."""
    return code_of(fault) in _ABSENT


def is_refused(fault: BaseException) -> bool:
    """The condition of a put did not hold: If-Match fails on an object that is gone, too."""
    return code_of(fault) in _LOST


def is_conflict(fault: BaseException) -> bool:
    """Another conditional put was under way: this one is to be tried again."""
    return code_of(fault) in _CONFLICT


def told(fault: Raised, at: S3Address, guide: str) -> str:
    """`guide`: the page that says which permissions are needed."""
    if isinstance(fault, ClientError):
        return _answered(fault, at, guide)
    if isinstance(fault, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        told = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine or pod a role"
        return f"no credentials ({one_line(fault)}): {told}"
    if isinstance(fault, NoRegionError):
        return "no region: add ?region=… to the address, or set AWS_DEFAULT_REGION"
    if isinstance(fault, ConnectionError | HTTPClientError):
        return f"nothing answers at {at.endpoint or 'AWS'}: {one_line(fault)}"
    if isinstance(fault, ResponseParserError):
        return f"{at.endpoint or 'AWS'} does not answer as S3 does: is the endpoint right?"
    return one_line(fault)


def one_line(fault: BaseException) -> str:
    return " ".join(str(fault).split()).rstrip(".")[:300] or type(fault).__name__


def _answered(fault: ClientError, at: S3Address, guide: str) -> str:
    error = fault.response.get("Error", {})
    code, text = str(error.get("Code", "")), " ".join(str(error.get("Message", "")).split()).rstrip(".")[:300]
    if code == "NoSuchBucket":
        return f"there is no bucket {at.bucket!r}: make it, or name another"
    if code in _FORBIDDEN:
        return f"no permission to {fault.operation_name}: see {guide} for the policy"
    if code in _UNKNOWN:
        return f"the credentials are refused: {code}: {text}"
    if code in _ELSEWHERE:
        return f"the bucket is in another region: give the right one, ?region=… ({code}: {text})"
    if code.isdigit() and code.startswith("4"):  # S3's own are words
        return f"{at.endpoint or 'AWS'} does not answer as S3 does ({code}: {text}): is the endpoint right?"
    return f"{fault.operation_name}: {code}: {text}"
