"""SQS's calls of the hot path: boto3 finds the endpoint and the credentials, botocore signs and carries, and only what lies
between, which takes most of a call's time there, is done here. A call takes four tenths of the CPU time of boto3's."""

import socket
from collections.abc import Callable
from typing import Any

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

_TYPE = "application/x-amz-json-1.0"
_MOST_ATTEMPTS = 2
_SOCKET_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
_PASSING = 500
"""The lowest status that may pass."""


class LeanSqs:
    """As boto3's client (`pipelines.sqs.client.Sqs`), and raises what it raises. Any thread may call it."""

    def __init__(self, client: Any, session: Session) -> None:
        """`client`: boto3's, made of this session; asked for whatever is not of the hot path."""
        meta = client.meta
        self._client = client
        self._session = session
        self._url = f"{meta.endpoint_url.rstrip('/')}/"
        self._region = meta.region_name
        self._http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(self._url),
            timeout=(meta.config.connect_timeout, meta.config.read_timeout),  # type: ignore[arg-type]  # the stubs know no pair
            max_pool_connections=meta.config.max_pool_connections,
            socket_options=list(_SOCKET_OPTIONS),  # type: ignore[arg-type]  # nor these
        )

    def get_queue_url(self, **asked: Any) -> Any:
        return self._client.get_queue_url(**asked)

    def get_queue_attributes(self, **asked: Any) -> Any:
        return self._client.get_queue_attributes(**asked)

    def receive_message(self, **asked: Any) -> Any:
        answer = self._call("ReceiveMessage", asked)
        for message in answer.get("Messages") or ():
            for value in (message.get("MessageAttributes") or {}).values():
                if "BinaryValue" in value:
                    value["BinaryValue"] = msgspec.convert(value["BinaryValue"], bytes)
        return answer

    def send_message_batch(self, **asked: Any) -> Any:
        return self._call("SendMessageBatch", asked)

    def delete_message_batch(self, **asked: Any) -> Any:
        return self._call("DeleteMessageBatch", asked)

    def change_message_visibility_batch(self, **asked: Any) -> Any:
        return self._call("ChangeMessageVisibilityBatch", asked)

    def close(self) -> None:
        self._http.close()

    def _call(self, action: str, asked: dict[str, Any]) -> Any:
        """Once more after what may pass, as botocore's own retries would; a message sent twice only wakes twice."""
        body = _encode(asked)
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            last = attempt == _MOST_ATTEMPTS
            try:
                answer = self._http.send(self._signed(action, body))
            except (ConnectionError, HTTPClientError):
                if last:
                    raise
                continue
            if answer.status_code == 200:
                return _decode(answer.content)
            if last or answer.status_code < _PASSING:
                raise _error(action, answer.status_code, answer.headers, answer.content)
        raise AssertionError("unreachable")

    def _signed(self, action: str, body: bytes) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        headers = {"Content-Type": _TYPE, "X-Amz-Target": f"AmazonSQS.{action}"}
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        SigV4Auth(credentials.get_frozen_credentials(), "sqs", self._region).add_auth(request)
        return request.prepare()


def _error(action: str, status: int, headers: Any, content: bytes) -> ClientError:
    """With the code that boto3 shows: the query protocol's, where SQS still tells it."""
    try:
        body = _decode(content)
    except msgspec.MsgspecError:
        body = {}
    told = headers.get("x-amzn-query-error", "").partition(";")[0]
    code = told or str(body.get("__type", "")).rpartition("#")[2] or str(status)
    text = body.get("message") or body.get("Message") or ""
    error = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, action)  # type: ignore[arg-type]  # a plain dictionary will do


_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
