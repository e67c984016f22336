"""SQS's calls of the hot path: boto3 finds the endpoint and the credentials, urllib3 carries, and what lies between, which
takes most of a call's time there, is done here."""

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.session import Session
from botocore.utils import get_environ_proxies
from urllib3 import exceptions
from urllib3.connection import HTTPConnection

from pipelines.sqs.signing import Credentials, signed

_MOST_ATTEMPTS = 2
_PASSING = 500
"""The lowest status that may pass."""
_SOCKET_OPTIONS = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


class LeanSqs:
    """As boto3's client (`pipelines.sqs.client.Sqs`), and raises what it raises. Any thread may call it."""

    def __init__(self, client: Any, session: Session) -> None:
        """`client`: boto3's, made of this session; asked for whatever is not of the hot path."""
        self._client = client
        self._session = session
        self._region = client.meta.region_name
        self._url = client.meta.endpoint_url
        self._host = _host(self._url)
        self._pools = _pools(client.meta.config, self._url, session.get_config_variable("ca_bundle"))
        self._pool = self._pools.connection_from_url(self._url)

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
        self._pool.close()
        self._pools.clear()

    def _call(self, action: str, asked: dict[str, Any]) -> Any:
        """Once more after what may pass, as botocore's own retries would; a message sent twice only wakes twice."""
        body = _encode(asked)
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            last = attempt == _MOST_ATTEMPTS
            try:
                answer = self._post(action, body)
            except exceptions.HTTPError as fault:
                if last:
                    raise _raised(fault, self._url) from fault
                continue
            if answer.status == 200:
                return _answered(answer.data)
            if last or answer.status < _PASSING:
                raise _refused(action, answer)
        raise AssertionError("unreachable")

    def _post(self, action: str, body: bytes) -> urllib3.BaseHTTPResponse:
        found = self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen = found.get_frozen_credentials()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        credentials = Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)
        headers = signed(credentials, self._host, self._region, action, body, now)
        return self._pool.urlopen("POST", "/", body, headers, retries=False)


def _answered(data: bytes) -> dict[str, Any]:
    """A proxy that answers in SQS's place, with a page of its own, is one more way not to reach SQS."""
    try:
        answer = _decode(data)
    except (msgspec.MsgspecError, UnicodeError) as fault:
        raise HTTPClientError(error=fault) from fault
    if not isinstance(answer, dict):
        raise HTTPClientError(error=f"expected a JSON object, got {type(answer).__name__}")
    return answer


def _host(url: str) -> str:
    """As it is signed, and as urllib3 sends it: without the scheme's own port."""
    parts = urlsplit(url)
    own = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.netloc.removesuffix(f":{own}")


def _pools(config: Any, url: str, ca_bundle: str | None) -> urllib3.PoolManager:
    """With the proxy and the certificates that boto3's own client would have."""
    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=config.connect_timeout, read=config.read_timeout),
        "maxsize": config.max_pool_connections,
        "socket_options": _SOCKET_OPTIONS,
        "ca_certs": ca_bundle,
    }
    scheme = urlsplit(url).scheme
    proxy = get_environ_proxies(url).get(scheme)
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _raised(fault: exceptions.HTTPError, url: str) -> BotoCoreError:
    """As botocore tells it."""
    match fault:
        case exceptions.NewConnectionError():
            return EndpointConnectionError(endpoint_url=url, error=fault)
        case exceptions.ConnectTimeoutError():
            return ConnectTimeoutError(endpoint_url=url, error=fault)
        case exceptions.ReadTimeoutError():
            return ReadTimeoutError(endpoint_url=url, error=fault)
        case exceptions.ProtocolError():
            return ConnectionClosedError(endpoint_url=url, error=fault)
        case _:
            return HTTPClientError(error=fault)


def _refused(action: str, answer: urllib3.BaseHTTPResponse) -> ClientError:
    """With the code that boto3 shows: the query protocol's, where SQS still tells it."""
    try:
        body = _answered(answer.data)
    except HTTPClientError:
        body = {}
    # In ElasticMQ's, the name of a shape.
    told = answer.headers.get("x-amzn-query-error", "").partition(";")[0].rpartition("#")[2]
    code = told or str(body.get("__type", "")).rpartition("#")[2] or str(answer.status)
    text = body.get("message") or body.get("Message") or ""
    error = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": answer.status}}
    return ClientError(error, action)  # type: ignore[arg-type]  # a plain dictionary will do


_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
