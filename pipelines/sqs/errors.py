"""SQS's errors: which pass, which do not, and how each is told in one line."""

from typing import TypeAlias

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # botocore's own
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from pipelines.sqs.faults import NoQueue, SqsAway, SqsFault, SqsRefused

Raised: TypeAlias = BotoCoreError | ClientError
RAISED = (BotoCoreError, ClientError)
"""What a call of the client may raise."""

_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"})
_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"})
_UNKNOWN = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
        "InvalidSecurity", "MissingAuthenticationToken", "SignatureDoesNotMatch", "UnrecognizedClientException",
    }
)  # fmt: skip
_PASSING = frozenset(
    {
        "InternalError", "InternalFailure", "KmsThrottled", "OverLimit", "RequestThrottled", "RequestTimeout",
        "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
_STALE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"})
_GUIDE = "see docs/how-to/sqs.md"


def code_of(fault: BaseException) -> str:
    """SQS's own; empty when the call never came that far."""
    return str(fault.response.get("Error", {}).get("Code", "")) if isinstance(fault, ClientError) else ""


def is_stale(code: str, text: str) -> bool:
    """The receipt is another's by now, or its message is gone: nothing is left to do."""
    code = code.removeprefix("AWS.SimpleQueueService.")
    about = text.lower()
    return code in _STALE or (code == "InvalidParameterValue" and ("message" in about or "receipt" in about))


def fault_of(fault: Raised, where: str) -> SqsFault:
    """`where`: what was asked, and of which queue."""
    if isinstance(fault, ClientError):
        return _answered(fault, where)
    if isinstance(fault, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        told = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine or pod a role"
        return SqsRefused(f"sqs: no credentials ({one_line(fault)}): {told}")
    if isinstance(fault, CredentialRetrievalError):
        return SqsAway(f"sqs: {where}: credentials cannot be had: {one_line(fault)}")
    if isinstance(fault, ConnectionError | HTTPClientError):
        return SqsAway(f"sqs: {where}: nothing answers: {one_line(fault)}")
    return SqsRefused(f"sqs: {where}: {one_line(fault)}")


def one_line(fault: BaseException) -> str:
    return " ".join(str(fault).split()).rstrip(".")[:300]


def _answered(fault: ClientError, where: str) -> SqsFault:
    error = fault.response.get("Error", {})
    code, text = str(error.get("Code", "")), " ".join(str(error.get("Message", "")).split())[:300]
    status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING:
        return NoQueue(f"sqs: {where}: there is no such queue; make it with `forebay queue create`, {_GUIDE}")
    if code in _FORBIDDEN:
        return SqsRefused(f"sqs: {where}: no permission: {text or code}; {_GUIDE} for the policy")
    if code in _UNKNOWN:
        return SqsRefused(f"sqs: {where}: the credentials are refused: {code}: {text}")
    if code in _PASSING or status >= 500:
        return SqsAway(f"sqs: {where}: {code}: {text}")
    return SqsRefused(f"sqs: {where}: {code}: {text}")
