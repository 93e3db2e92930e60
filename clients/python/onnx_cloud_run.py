"""Client of onnx-cloud-run servers: predictions, streams of rows, binary tensors.

The standard library alone, Python 3.9 or newer.

    from onnx_cloud_run import Client

    with Client("http://localhost:8080") as client:
        print(client.predict([5.1, 3.5, 1.4, 0.2]).label)
        for row in client.batch_predict([5.1, 3.5, 1.4 + i % 50 / 10, 0.2] for i in range(1_000_000)):
            print(row.index, row.prediction if row.error is None else row.error.message)
"""

from __future__ import annotations

import array
import collections.abc
import contextlib
import contextvars
import email.utils
import http.client
import io
import json
import math
import os
import random
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, Dict, Generator, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import quote, urlsplit

__all__ = ["BatchRow", "Client", "ClientError", "InferResult", "LabelScore", "ModelVersion", "Prediction", "RowError", "Tensor"]


class ClientError(Exception):
    """A call that failed.

    `code` is the server's (`INVALID_INPUT`, `OVERLOADED`, …), or one of the client's own: `NETWORK` (no connection, or one
    that broke), `TIMEOUT` (no response within the time limit), `BAD_ANSWER` (the response breaks the protocol), `HTTP` (an
    error status without a code, from a proxy or another server).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: Optional[int] = None,
        path: Optional[str] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        # Both are in `args`, so that the error can be pickled, as by a pool of processes.
        super().__init__(code, message)
        self.code = code
        self.message = message
        #: The HTTP status; None without a response.
        self.status = status
        #: The place in the input: `features[2]`.
        self.path = path
        #: The request's id, which the server's log has too.
        self.request_id = request_id
        #: Seconds after which a retry may succeed: the server's `Retry-After`.
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class ModelVersion:
    """The model that predicted."""

    name: str
    version: str


@dataclass(frozen=True)
class LabelScore:
    """A class or label with its score; NaN and infinities are texts."""

    label: str
    score: Any


@dataclass(frozen=True)
class Prediction:
    """The prediction of one row. Integers have all their digits; NaN and infinities are texts, as in the server's JSON."""

    #: The row's value of the main output; the label or labels that hold, if `scores` is there.
    prediction: Any
    #: The name of the predicted class, if model.json or the model has one.
    label: Optional[str]
    #: The row's values of all outputs, by name.
    outputs: Dict[str, Any]
    model: ModelVersion
    #: The labels with the highest scores, the highest first, if model.json or the model's export says how scores are made.
    scores: Optional[List[LabelScore]] = None


@dataclass(frozen=True)
class RowError:
    """Why a row has no prediction. `code` is one of the server's: `INVALID_INPUT`."""

    message: str
    code: str
    #: The place in the row: `features[2]`.
    path: Optional[str] = None


@dataclass(frozen=True)
class BatchRow:
    """The result of a row: a prediction if `error` is None. `index` is the index of the row in the source."""

    index: int
    prediction: Any = None
    label: Optional[str] = None
    outputs: Dict[str, Any] = field(default_factory=dict)
    error: Optional[RowError] = None
    scores: Optional[List[LabelScore]] = None


#: By datatype: the type code of `array`, the bytes of an element, and numpy's type without the byte order.
_TYPES: Dict[str, Tuple[str, int, str]] = {
    "BOOL": ("", 1, "b1"),
    "UINT8": ("B", 1, "u1"),
    "UINT16": ("H", 2, "u2"),
    "UINT32": ("I", 4, "u4"),
    "UINT64": ("Q", 8, "u8"),
    "INT8": ("b", 1, "i1"),
    "INT16": ("h", 2, "i2"),
    "INT32": ("i", 4, "i4"),
    "INT64": ("q", 8, "i8"),
    "FP16": ("H", 2, "f2"),
    "FP32": ("f", 4, "f4"),
    "FP64": ("d", 8, "f8"),
    "BYTES": ("", 0, ""),
}


@dataclass(frozen=True)
class Tensor:
    """A dense tensor of the Open Inference Protocol: elements in row-major order, the product of `shape` many.

    `data` of a request is a sequence of elements, an `array.array` of the datatype (FP16: `array("H")` with the raw bits), or
    bytes in the protocol's form: little-endian, without padding. `data` of a response is an `array.array`, a list of bool
    for BOOL, or a list of str for BYTES. `numpy.asarray(tensor)` works for every datatype but BYTES.
    """

    datatype: str
    shape: Sequence[int]
    data: Any

    @property
    def __array_interface__(self) -> Dict[str, Any]:
        kind = _TYPES[self.datatype][2]
        if kind == "":
            raise AttributeError("BYTES has no array interface: numpy.array(tensor.data).reshape(tensor.shape)")
        native = isinstance(self.data, array.array)
        return {
            "version": 3,
            "shape": tuple(self.shape),
            "typestr": (">" if native and sys.byteorder == "big" else "<") + kind,
            "data": self.data if native else _encode("tensor", self),
        }


@dataclass(frozen=True)
class InferResult:
    """A response of `infer`; its outputs by name. `model_version` is None if the server has no versions."""

    model_name: str
    model_version: Optional[str]
    id: Optional[str]
    parameters: Optional[Dict[str, Any]]
    outputs: Dict[str, Tensor]


Headers = Mapping[str, str]

_JSON = "application/json"
_NDJSON = "application/x-ndjson"


class Client:
    """The calls of a server. They may be made from several threads at once, and all raise :class:`ClientError`.

    A client keeps its connections: make one for all calls, and `close` it, or use it in `with`.

    :param url: the server's address: `https://serving-abc.run.app`, with a path if it is behind one
    :param model: the model of calls that name none; `predict` and `batch_predict` need none if the server has a default
    :param version: the version of `model`; default: the one that serves
    :param headers: header fields of every request; a function is called at every attempt
    :param token: for `Authorization: Bearer`, such as the identity token that Cloud Run requires; a function is called at
        every attempt
    :param retries: repeats of a call that failed with a transient error
    :param timeout: seconds for a call with its repeats, and for the result of a row of `batch_predict`; None for no limit
    :param ssl_context: default: `ssl.create_default_context()`
    :raises ValueError: that names the option that cannot be used
    """

    def __init__(
        self,
        url: str,
        *,
        model: Optional[str] = None,
        version: Optional[str] = None,
        headers: Union[Headers, Callable[[], Headers], None] = None,
        token: Union[str, Callable[[], str], None] = None,
        retries: int = 5,
        timeout: Optional[float] = 60.0,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._connections = _Connections(url, ssl_context)
        self._path = urlsplit(url).path.rstrip("/")
        self._model = model
        self._version = version
        self._headers = headers
        self._token = token
        if not (isinstance(retries, int) and retries >= 0):
            raise ValueError(f"retries: expected 0 or more, got {retries}")
        self._retries = retries
        self._timeout = _seconds(timeout)

    def predict(
        self, features: Any, *, model: Optional[str] = None, version: Optional[str] = None, timeout: Optional[float] = None
    ) -> Prediction:
        """Predict one row: `POST /predict`.

        :param features: the row without its batch dimension, or a dict with a value for each input or feature; numpy's arrays
            and numbers and `array.array` are written as JSON numbers
        :param timeout: seconds, instead of the client's
        """
        path = self._native_path(model, version) + "/predict"
        body = b'{"features":%b}' % _write_json(features)
        result = _object(self._call_json("POST", path, timeout, body), "the response")
        model_version = _object(result.get("model"), "model")
        return Prediction(
            result.get("prediction"),
            result.get("label"),
            result.get("outputs", {}),
            ModelVersion(str(model_version.get("name")), str(model_version.get("version"))),
            _scores(result),
        )

    def batch_predict(
        self,
        rows: Iterable[Any],
        *,
        model: Optional[str] = None,
        version: Optional[str] = None,
        batch_size: int = 64,
        max_unanswered: int = 4096,
        duplex: bool = True,
        timeout: Optional[float] = None,
    ) -> Generator[BatchRow, None, None]:
        """Predict any number of rows: `POST /batch_predict`. Yields a result for each row, in order.

        A thread reads `rows`, no faster than the results are consumed. If the server stops or the connection breaks, the rows
        without a result are sent again, in a new request. An error of `rows` is raised after the results of all rows before it.

        :param rows: each as the `features` of `predict`
        :param batch_size: most rows that the server runs together
        :param max_unanswered: most rows that are read and have no result; they are kept, to be sent again
        :param duplex: whether one request is sent and read at the same time; otherwise each window of rows is a request, as
            some proxies read a body to its end first. The client detects this after a second
        :param timeout: longest wait for the result of a row, in seconds, instead of the client's
        """
        iterator = iter(rows)
        path = f"{self._native_path(model, version)}/batch_predict?batch_size={_positive('batch_size', batch_size)}"
        limit = self._timeout if timeout is None else _seconds(timeout)
        return self._stream(path, iterator, _positive("max_unanswered", max_unanswered), duplex, limit)

    def infer(
        self,
        inputs: Mapping[str, Any],
        *,
        outputs: Union[Sequence[str], Mapping[str, str], None] = None,
        classes: Optional[Mapping[str, int]] = None,
        id: Optional[str] = None,
        parameters: Optional[Mapping[str, Union[str, int, float, bool]]] = None,
        encoding: str = "binary",
        model: Optional[str] = None,
        version: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> InferResult:
        """Predict tensors with a batch of rows each: `infer` of the Open Inference Protocol.

        :param inputs: by name, each a :class:`Tensor` or a numpy array with the complete batch: `shape[0]` is the number of rows
        :param outputs: the names of the requested outputs, or a mapping of names to the datatypes that they must have
        :param classes: by output, how many of the highest elements of each row are sent instead of it: BYTES `score:index`, or
            `score:index:label`, the highest first. Without `outputs`, only these outputs are sent
        :param id: returned in the response
        :param encoding: `binary` keeps every bit; `json` can be read by people, and has no form for FP16
        :param timeout: seconds, instead of the client's
        :raises TypeError: if the data of a tensor does not fit its datatype and shape
        """
        path = self._model_path("/v2", model, version) + "/infer"
        tensors = {name: _tensor_of(name, value) for name, value in inputs.items()}
        headers, body = _write_infer(tensors, _chosen_outputs(outputs, classes), id, parameters, encoding)
        result = _read_infer(*self._call("POST", path, timeout, body, headers))
        for name in outputs or ():
            got = result.outputs[name].datatype if name in result.outputs else None
            expected = outputs[name] if isinstance(outputs, Mapping) else got
            if got is None or got != expected:
                raise _bad_answer(f"{name}: expected this output{f' as {expected}' if expected else ''}, got {got or 'none'}")
        return result

    def ready(
        self, *, model: Optional[str] = None, version: Optional[str] = None, timeout: Optional[float] = None
    ) -> bool:
        """Whether the server is ready, or, if the call names a model, that model. False also if it cannot be reached."""
        named = model is not None or self._model is not None
        path = self._model_path("/v2", model, version) + "/ready" if named else "/v2/health/ready"
        try:
            self._call("GET", path, timeout, retries=0)
        except ClientError as error:
            if error.code == "NETWORK" or error.status == 503:
                return False
            raise
        return True

    def metadata(
        self, *, model: Optional[str] = None, version: Optional[str] = None, timeout: Optional[float] = None
    ) -> Dict[str, Any]:
        """The inputs and outputs of a model: `name`, `versions`, `platform`, and `inputs` and `outputs` with `name`, `datatype` and `shape`."""
        return _object(self._call_json("GET", self._model_path("/v2", model, version), timeout), "the response")

    def server_metadata(self, *, timeout: Optional[float] = None) -> Dict[str, Any]:
        """The server's `name`, its `version` and the `extensions` of the protocol that it has."""
        return _object(self._call_json("GET", "/v2", timeout), "the response")

    def close(self) -> None:
        """Close the idle connections. A later call opens a new one."""
        self._connections.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _native_path(self, model: Optional[str], version: Optional[str]) -> str:
        unnamed = model is None and self._model is None and version is None and self._version is None
        return "" if unnamed else self._model_path("", model, version)

    def _model_path(self, prefix: str, model: Optional[str], version: Optional[str]) -> str:
        # A version belongs to its model.
        if version is None and model is None:
            version = self._version
        name = self._model if model is None else model
        if name is None:
            raise TypeError("model: expected its name, in the call or in Client")
        path = f"{prefix}/models/{quote(name, safe='')}"
        return path if version is None else f"{path}/versions/{quote(version, safe='')}"

    def _fields(self, own: Headers) -> Dict[str, str]:
        """The header fields of an attempt: a token may have expired since the last."""
        headers = self._headers() if callable(self._headers) else self._headers or {}
        token = self._token() if callable(self._token) else self._token
        fields = {name.lower(): value for name, value in headers.items()}
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        fields.update({name.lower(): value for name, value in own.items()})
        return fields

    def _call_json(self, method: str, path: str, timeout: Optional[float], body: Optional[bytes] = None) -> Any:
        headers = {} if body is None else {"Content-Type": _JSON}
        return _parse_json(self._call(method, path, timeout, body, headers)[1])

    def _call(
        self,
        method: str,
        path: str,
        timeout: Optional[float],
        body: Union[bytes, List[Any], None] = None,
        headers: Optional[Headers] = None,
        retries: Optional[int] = None,
    ) -> Tuple[http.client.HTTPMessage, bytes]:
        """Send a request and read its response. Repeats the call after a transient failure."""
        limit = _deadline(self._timeout if timeout is None else _seconds(timeout))
        attempts = self._retries if retries is None else retries
        for attempt in range(attempts + 1):
            fields = self._fields(headers or {})

            def write(connection: _Connection) -> None:
                connection.write(method, self._path + path, fields, body)

            try:
                with self._connections.exchange(write, limit) as response:
                    return response.headers, response.read()
            except ClientError as failure:
                if attempt == attempts or not _is_transient(failure):
                    raise
                wait = _backoff(attempt, failure.retry_after)
                # No time would be left for a response.
                if wait >= limit():
                    raise
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _stream(
        self, path: str, rows: Iterator[Any], max_rows: int, duplex: bool, timeout: float
    ) -> Generator[BatchRow, None, None]:
        answered = failures = 0
        stream = _Stream(_Window(rows, max_rows), duplex, timeout)
        try:
            while stream.window.waiting():
                before = answered
                failure = ClientError("NETWORK", "the server ended its response before any row")
                with contextlib.closing(self._exchange(path, stream)) as lines:
                    while True:
                        try:
                            line = next(lines, None)
                        except ClientError as error:
                            if not _is_transient(error):
                                raise
                            failure = error
                            break
                        if line is None:
                            break
                        yield _batch_row(answered, line)
                        answered += 1
                # Each result is progress, and resets the count of failures: so retries do not limit the number of rows.
                failures = 0 if answered > before else failures + 1
                if failures > self._retries:
                    raise failure
                if failures > 0:
                    time.sleep(_backoff(failures - 1, failure.retry_after))
            stream.window.raise_error()
        finally:
            stream.window.close()

    def _exchange(self, path: str, stream: _Stream) -> Generator[Dict[str, Any], None, None]:
        """Send one request, and yield the lines of its rows. Raises ClientError if rows were sent that have no result."""
        fields = self._fields({"Content-Type": _NDJSON, "Accept": _NDJSON})
        count = 0
        last: Optional[Dict[str, Any]] = None
        window = stream.window
        with self._connections.exchange(lambda to: stream.write(to, self._path + path, fields), stream.limit) as response:
            stream.answered()
            for text in _lines(response):
                line = _parse_line(text)
                if "done" in line:
                    last = line
                    # The other rows get no result: the rest of the body need not be sent.
                    if not line["done"]:
                        break
                    continue
                if line["index"] != count or window.unanswered() == 0:
                    raise _bad_answer(
                        f"the response has row {line['index']}, after {count} rows with a result and "
                        f"{window.unanswered()} without one"
                    )
                count += 1
                window.answer()
                yield line
                stream.waits_since = time.monotonic()
        missing = window.unanswered()
        if last is None:
            raise ClientError("NETWORK", f"the response ended after {count} rows, without its last line")
        if missing > 0:
            if last["done"]:
                raise _bad_answer(f"the server is done, and {missing} rows have no result")
            raise ClientError(last.get("code", "NETWORK"), last.get("message", "the server stopped"))


# Retries. No call of this client changes the server, so each can be repeated.

#: Codes with which a stream ends early: the rows without a result are sent again.
_STOPS = ("DRAINING", "IDLE", "MODEL_CHANGED")
#: 502: a load balancer whose server reset the connection.
_TRANSIENT_STATUSES = (429, 502, 503)


def _is_transient(error: ClientError) -> bool:
    if error.code == "NETWORK":
        return True
    return error.code in _STOPS if error.status is None else error.status in _TRANSIENT_STATUSES


def _backoff(retries: int, retry_after: Optional[float]) -> float:
    """Seconds to wait: `Retry-After`, at most a minute, and up to a tenth more; else a random time below a bound that doubles."""
    if retry_after is None:
        return random.random() * min(10.0, 0.1 * 2 ** min(retries, 10))
    return min(60.0, retry_after) * (1 + 0.1 * random.random())


def _retry_after(field_value: Optional[str]) -> Optional[float]:
    """Seconds from now. The header is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if field_value is None:
        return None
    if field_value.strip().isdecimal():
        return float(field_value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(field_value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _seconds(timeout: Optional[float]) -> float:
    if timeout is None:
        return math.inf
    if not timeout > 0:
        raise ValueError(f"timeout: expected seconds, got {timeout}")
    return timeout


def _positive(name: str, value: int) -> int:
    if isinstance(value, int) and value > 0:
        return value
    raise ValueError(f"{name}: expected an integer above 0, got {value}")


def _deadline(seconds: float) -> Callable[[], float]:
    """A function that returns the remaining seconds, and raises ClientError once there are none."""
    ends_at = time.monotonic() + seconds

    def limit() -> float:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise ClientError("TIMEOUT", f"no response within {seconds:g} s")
        return left

    return limit


def _bad_answer(message: str) -> ClientError:
    return ClientError("BAD_ANSWER", message)


# Connections.

#: Characters of a message without JSON, such as a proxy's page, that an error shows.
_SHOWN = 300
_ERROR_BYTES = 65_536
#: Selectors take no longer time on some platforms; they are asked again after it.
_LONGEST_WAIT = 3600.0
#: Needs no file descriptor of its own, and has no limit on their numbers. Windows has none.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class _Channel:
    """The socket of a connection, as http.client uses it. What is written is sent while a response is waited for: a server may
    respond before it has read the request, and has to be read then."""

    def __init__(self, sock: socket.socket, limit: Callable[[], float]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._out: Deque[memoryview] = deque()
        #: Returns the remaining seconds, or raises ClientError.
        self.limit = limit
        #: The next part of the body; empty if there is none at the moment.
        self.more: Optional[Callable[[], bytes]] = None
        #: A socket that becomes readable when `more` has a part again.
        self.wake: Optional[socket.socket] = None
        self.received = 0

    def sendall(self, data: Any) -> None:
        if len(data) > 0:
            self._out.append(memoryview(data).cast("B"))

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self), 65_536)

    def close(self) -> None:
        """Called by http.client, which does not know whether the connection is still needed."""

    def shut(self) -> None:
        self._sock.close()

    def is_idle(self) -> bool:
        return not self._out and self.more is None

    def read_into(self, buffer: Any) -> int:
        while True:
            # A response that never ends may never be waited for.
            self.limit()
            self._send()
            try:
                count = self._sock.recv_into(buffer)
                self.received += count
                return count
            except ssl.SSLWantWriteError:
                events = selectors.EVENT_WRITE
            except (BlockingIOError, ssl.SSLWantReadError):
                events = selectors.EVENT_READ
            self._wait(events | (selectors.EVENT_WRITE if self._out else 0))

    def _send(self) -> None:
        while True:
            if not self._out:
                part = b"" if self.more is None else self.more()
                if part == b"":
                    return
                self.sendall(part)
            try:
                count = self._sock.send(self._out[0])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                # The server has closed the connection, perhaps after a response: reading shows which.
                self._out.clear()
                self.more = lambda: b""
                return
            rest = self._out.popleft()[count:]
            if len(rest) > 0:
                self._out.appendleft(rest)

    def _wait(self, events: int) -> None:
        seconds = min(self.limit(), _LONGEST_WAIT)
        with _Selector() as selector:
            selector.register(self._sock, events)
            if self.wake is not None:
                selector.register(self.wake, selectors.EVENT_READ)
            selector.select(seconds)
        if self.wake is not None:
            with contextlib.suppress(BlockingIOError):
                self.wake.recv(4096)


class _Reader(io.RawIOBase):
    """The bytes of one response."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._channel.read_into(buffer)


class _Connection(http.client.HTTPConnection):
    """One connection. It is made by `open`, within a time limit."""

    auto_open = 0
    channel: _Channel

    def open(self, limit: Callable[[], float], context: Optional[ssl.SSLContext]) -> None:
        sock = socket.create_connection((self.host, self.port), _finite(limit()))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                sock.settimeout(_finite(limit()))
                sock = context.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise
        self.channel = _Channel(sock, limit)
        self.sock = self.channel  # type: ignore[assignment]

    def write(self, method: str, path: str, fields: Dict[str, str], body: Union[bytes, List[Any], None]) -> None:
        if isinstance(body, list):
            fields = {**fields, "content-length": str(sum(len(memoryview(part).cast("B")) for part in body))}
            self.request(method, path, None, fields)
            for part in body:
                self.channel.sendall(part)
        else:
            self.request(method, path, body, fields)


def _finite(seconds: float) -> Optional[float]:
    return None if seconds == math.inf else seconds


class _Connections:
    """The connections to one server."""

    def __init__(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        self._lock = threading.Lock()
        self._idle: List[_Connection] = []
        self._process = os.getpid()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url: expected http or https, and a host, got {url}")
        self._host = parts.hostname
        is_secure = parts.scheme == "https"
        self._context = (context or ssl.create_default_context()) if is_secure else None
        self._default_port = http.client.HTTPS_PORT if is_secure else http.client.HTTP_PORT
        self._port = parts.port or self._default_port

    @contextlib.contextmanager
    def exchange(
        self, write: Callable[[_Connection], None], limit: Callable[[], float]
    ) -> Generator[http.client.HTTPResponse, None, None]:
        """Write a request, and give its response once its head has arrived, with a status below 300. Keeps the connection if the
        block read the response to its end. Raises ClientError for an error status, and for an error of the connection in the block."""
        connection, response = self._begin(write, limit)
        try:
            if not 200 <= response.status < 300:
                raise _failure(response)
            yield response
            keep = response.isclosed() and not response.will_close and connection.channel.is_idle()
        except (OSError, http.client.HTTPException) as error:
            connection.channel.shut()
            raise _network(error) from error
        except BaseException:
            connection.channel.shut()
            raise
        self._release(connection, keep)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.channel.shut()

    def __del__(self) -> None:
        self.close()

    def _begin(
        self, write: Callable[[_Connection], None], limit: Callable[[], float]
    ) -> Tuple[_Connection, http.client.HTTPResponse]:
        while True:
            idle = self._take(limit)
            connection = idle or self._open(limit)
            try:
                write(connection)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.channel.shut()
                # A server may close a connection that is idle: the request gets another one.
                if idle is None or connection.channel.received > 0:
                    raise _network(error) from error
            except BaseException:
                connection.channel.shut()
                raise

    def _take(self, limit: Callable[[], float]) -> Optional[_Connection]:
        with self._lock:
            # After a fork, those of the parent are the parent's: to close a socket here has no effect there.
            if self._process != os.getpid():
                self._process = os.getpid()
                while self._idle:
                    self._idle.pop().channel.shut()
            if not self._idle:
                return None
            connection = self._idle.pop()
        connection.channel.limit = limit
        connection.channel.received = 0
        return connection

    def _open(self, limit: Callable[[], float]) -> _Connection:
        connection = _Connection(self._host, self._port)
        connection.default_port = self._default_port
        try:
            connection.open(limit, self._context)
        except OSError as error:
            # The time limit is that of the socket here.
            limit()
            raise _network(error) from error
        return connection

    def _release(self, connection: _Connection, keep: bool) -> None:
        if not keep:
            connection.channel.shut()
            return
        with self._lock:
            self._idle.append(connection)


def _network(error: Exception) -> ClientError:
    return ClientError("NETWORK", str(error) or type(error).__name__)


def _failure(response: http.client.HTTPResponse) -> ClientError:
    """The error of a response with an error status."""
    text = b""
    # The start of the text is enough: it is for people, and the status decides what is done.
    with contextlib.suppress(OSError, http.client.HTTPException):
        while len(text) < _ERROR_BYTES:
            piece = response.read1(_ERROR_BYTES)
            if piece == b"":
                break
            text += piece
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    members: Dict[str, Any] = body if isinstance(body, dict) else {}

    def member(name: str) -> Optional[str]:
        value = members.get(name)
        return value if isinstance(value, str) else None

    shown = text.decode("utf-8", "replace").strip()[:_SHOWN]
    return ClientError(
        member("code") or "HTTP",
        member("error") or shown or f"status {response.status}",
        status=response.status,
        path=member("path"),
        request_id=response.getheader("X-Request-Id") or member("request_id"),
        retry_after=_retry_after(response.getheader("Retry-After")),
    )


# Streams.

#: A server that streams sends its first result sooner. After these seconds a proxy is assumed to wait for the end of the body.
_STALL_S = 1.0
#: Bytes that are passed to the connection at a time.
_CHUNK_BYTES = 65_536
#: Bytes of a full window; a longer row is alone in it.
_WINDOW_BYTES = 8 * 2**20
#: A source that returns no row for these seconds is waiting itself.
_GATHER_S = 0.02
_LONGEST_LINE = 2**28
_END_OF_BODY = b"0\r\n\r\n"


class _Window:
    """The rows that were read and have no result: a bounded part of a source of any length. Rows that were sent are kept, so that
    they can be sent again. A thread of its own reads the source: it may wait for a row while results arrive."""

    def __init__(self, rows: Iterator[Any], max_rows: int) -> None:
        self._rows = rows
        self._max_rows = max_rows
        self._changed = threading.Condition(threading.Lock())
        self._sent: Deque[bytes] = deque()
        self._unsent: Deque[bytes] = deque()
        self._bytes = 0
        self._full = self._ended = self._closed = self._in_source = self._awaited = False
        #: Of the source, or of writing a row as JSON.
        self._error: Optional[BaseException] = None
        #: Since when the oldest row that was sent waits for its result; None if there is no such row.
        self.owed_since: Optional[float] = None
        #: Becomes readable when `take` returned nothing and there is a row, or the source has ended.
        self.wake, self._waker = socket.socketpair()
        self.wake.setblocking(False)
        self._waker.setblocking(False)
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._read,), name="onnx_cloud_run rows", daemon=True)

    def waiting(self) -> bool:
        """Wait for a row without a result. False if there will be none."""
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._sent or self._unsent or self._ended)
            return bool(self._sent or self._unsent)

    def restart(self) -> None:
        """Send all rows without a result, from the first on."""
        with self._changed:
            self._unsent.extendleft(reversed(self._sent))
            self._sent.clear()
            self.owed_since = None

    def gather(self) -> None:
        """Wait while the source returns rows without waiting itself, until the window is full."""
        with self._changed:
            seen = -1
            while seen != len(self._unsent) and not (self._full or self._ended):
                seen = len(self._unsent)
                self._changed.wait_for(lambda: self._full or self._ended, _GATHER_S)

    def take(self, most: float) -> Optional[bytes]:
        """The NDJSON of the next rows, up to `most` bytes but at least one row. Empty if none has been read; None after the last."""
        with self._changed:
            if not self._unsent:
                if self._ended:
                    return None
                self._awaited = True
                return b""
            if not self._sent:
                self.owed_since = time.monotonic()
            lines = [self._unsent.popleft()]
            length = len(lines[0])
            while self._unsent and length + len(self._unsent[0]) <= most:
                lines.append(self._unsent.popleft())
                length += len(lines[-1])
            self._sent.extend(lines)
            return b"".join(lines)

    def answer(self) -> None:
        """Remove the oldest row, which has a result."""
        with self._changed:
            self._bytes -= len(self._sent.popleft())
            self.owed_since = time.monotonic() if self._sent else None
            # Rows are read again once half of the window is free: rows that are read one by one would be sent one by one.
            count = len(self._sent) + len(self._unsent)
            if self._full and count <= self._max_rows / 2 and self._bytes <= _WINDOW_BYTES / 2:
                self._full = False
                self._changed.notify_all()

    def raise_error(self) -> None:
        """Raise the error of the source, if there is one."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            # The error has this frame, which must not have the error: else both wait for the garbage collector.
            del error

    def unanswered(self) -> int:
        """Rows that are sent and have no result."""
        return len(self._sent)

    def close(self) -> None:
        """End the reading, and close the source. Does not wait for a source that is waiting itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            wait = self._thread.ident is not None and not self._in_source
        if wait:
            self._thread.join()
        self.wake.close()
        self._waker.close()

    def _read(self) -> None:
        try:
            while self._has_room():
                self._append(b'{"features":%b}\n' % _write_json(next(self._rows)))
        except StopIteration:
            pass
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._in_source = False
            self._changed.notify_all()
            self._notify()
        if isinstance(self._rows, collections.abc.Generator):
            with contextlib.suppress(Exception):
                self._rows.close()

    def _has_room(self) -> bool:
        with self._changed:
            self._in_source = False
            self._changed.wait_for(lambda: self._closed or not self._full)
            self._in_source = not self._closed
            return self._in_source

    def _append(self, line: bytes) -> None:
        with self._changed:
            self._unsent.append(line)
            self._bytes += len(line)
            count = len(self._sent) + len(self._unsent)
            self._full = count >= self._max_rows or self._bytes >= _WINDOW_BYTES
            self._changed.notify_all()
            self._notify()

    def _notify(self) -> None:
        if self._awaited and not self._closed:
            self._awaited = False
            # A full buffer can be read already.
            with contextlib.suppress(BlockingIOError):
                self._waker.send(b"\0")


class _Stream:
    """A call of `batch_predict`: how its requests are sent, and how long they may take."""

    def __init__(self, window: _Window, duplex: bool, timeout: float) -> None:
        self.window = window
        #: Whether requests are sent and read at the same time: until one stalls, because a proxy reads its body to the end first.
        self._duplex = duplex
        self._timeout = timeout
        self._stalls_at: Optional[float] = None
        #: Since when the response is waited for: the time in which the caller uses a row does not count.
        self.waits_since = time.monotonic()

    def write(self, connection: _Connection, path: str, fields: Dict[str, str]) -> None:
        """Write a request with all rows without a result."""
        self.window.restart()
        self.waits_since = time.monotonic()
        channel = connection.channel
        if not self._duplex:
            self.window.gather()
            connection.write("POST", path, fields, self.window.take(_WINDOW_BYTES))
            return
        connection.write("POST", path, {**fields, "transfer-encoding": "chunked"}, None)
        self._stalls_at = time.monotonic() + _STALL_S
        channel.wake = self.window.wake

        def more() -> bytes:
            if self._stalls_at is not None and time.monotonic() >= self._stalls_at:
                self._stalls_at = None
                self._duplex = False
                lines = None
            else:
                lines = self.window.take(_CHUNK_BYTES)
            if lines is None:
                channel.more = None
                channel.wake = None
                return _END_OF_BODY
            return b"%x\r\n%b\r\n" % (len(lines), lines) if lines else b""

        channel.more = more

    def answered(self) -> None:
        """The response has begun."""
        self._stalls_at = None

    def limit(self) -> float:
        """Seconds to wait at most. Raises ClientError if a row has waited too long for its result."""
        now = time.monotonic()
        left = self._timeout
        if self.window.owed_since is not None:
            left -= now - max(self.waits_since, self.window.owed_since)
            if left <= 0:
                raise ClientError("TIMEOUT", f"no row got a result for {self._timeout:g} s")
        return left if self._stalls_at is None or self._stalls_at <= now else min(left, self._stalls_at - now)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines of a response as they arrive, without empty ones."""
    parts: List[bytes] = []
    length = 0
    while True:
        piece = response.read1(65_536)
        if piece == b"":
            break
        if b"\n" in piece:
            lines = piece.split(b"\n")
            parts.append(lines[0])
            lines[0] = b"".join(parts)
            parts = [lines.pop()]
            length = len(parts[0])
            yield from filter(None, lines)
        else:
            parts.append(piece)
            length += len(piece)
            if length > _LONGEST_LINE:
                raise _bad_answer(f"a line of the response has more than {_LONGEST_LINE} bytes")
    rest = b"".join(parts)
    if rest:
        yield rest
    # Of a response with a length, read1 leaves the end open.
    response.read()


def _parse_line(text: bytes) -> Dict[str, Any]:
    line = _parse_json(text, "a line of the response")
    if isinstance(line, dict) and ("done" in line or "index" in line):
        return line
    raise _bad_answer(f"a line of the response belongs to no row: {_shown(text)}")


def _scores(result: Dict[str, Any]) -> Optional[List[LabelScore]]:
    scores = result.get("scores")
    if scores is None:
        return None
    if not isinstance(scores, list):
        raise _bad_answer(f"scores: expected a list, got {str(scores)[:200]}")
    members = [_object(one, "scores") for one in scores]
    return [LabelScore(str(one.get("label")), one.get("score")) for one in members]


def _batch_row(index: int, line: Dict[str, Any]) -> BatchRow:
    error = line.get("error")
    if error is None:
        return BatchRow(
            index, line.get("prediction"), line.get("label"), line.get("outputs", {}), scores=_scores(line)
        )
    members = _object(error, f"the error of row {index}")
    return BatchRow(index, error=RowError(str(members.get("message")), str(members.get("code")), members.get("path")))


# JSON.


def _plain(value: Any) -> Any:
    """For the writer of JSON: numpy's arrays and numbers, and `array.array`, as lists and numbers."""
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"{type(value).__name__} is not JSON: expected numbers, texts, booleans, and lists and dicts of them")
    return tolist()


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)


def _write_json(value: Any) -> bytes:
    """A value as the server's JSON: `"NaN"`, `"Infinity"` and `"-Infinity"` for the numbers that JSON lacks."""
    try:
        return _ENCODER.encode(value).encode("ascii")
    except ValueError:
        return _ENCODER.encode(_spelled(value)).encode("ascii")


def _spelled(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(inner) for inner in value]
    return _spelled(value.tolist()) if hasattr(value, "tolist") else value


def _parse_json(text: bytes, place: str = "the response") -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _bad_answer(f"{place} is not JSON: {_shown(text)}") from error


def _shown(text: bytes) -> str:
    return text[:200].decode("utf-8", "replace")


def _object(value: Any, place: str) -> Dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise _bad_answer(f"{place}: expected an object, got {str(value)[:200]}")


# Tensors. Source: the Open Inference Protocol's REST specification, and its binary tensor data extension.

#: The header with the length of the JSON before the tensors' bytes.
_HEADER_LENGTH = "Inference-Header-Content-Length"
_KINDS = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}
_SPELLED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _tensor_of(name: str, value: Any) -> Tensor:
    """A tensor, or a numpy array as one. numpy is not imported: its arrays are recognized by what they can do."""
    if isinstance(value, Tensor):
        return value
    dtype: Any = getattr(value, "dtype", None)
    if not (hasattr(dtype, "newbyteorder") and hasattr(value, "tobytes")):
        raise TypeError(f"{name}: expected a Tensor or a numpy array, got {type(value).__name__}")
    if dtype.kind in "USO":
        return Tensor("BYTES", value.shape, value.ravel().tolist())
    datatype = _KINDS.get(dtype.kind, "") + ("" if dtype.kind == "b" else str(8 * dtype.itemsize))
    if datatype not in _TYPES:
        raise TypeError(f"{name}: {dtype} is not a datatype of the protocol")
    return Tensor(datatype, value.shape, value.astype(dtype.newbyteorder("<"), copy=False).tobytes())


def _encode(name: str, tensor: Tensor) -> Any:
    """The bytes of a tensor. Raises TypeError if its data does not fit its datatype and shape."""
    datatype, shape, data = tensor.datatype, tensor.shape, tensor.data
    if datatype not in _TYPES:
        raise TypeError(f"{name}: {datatype} is not a datatype of the protocol")
    if not all(isinstance(dim, int) and dim >= 0 for dim in shape):
        raise TypeError(f"{name}: shape takes integers from 0 on, got {list(shape)}")
    typecode, size, _ = _TYPES[datatype]
    is_raw = isinstance(data, (bytes, bytearray, memoryview))
    try:
        if is_raw and size > 0:
            encoded: Any = memoryview(data).cast("B")
            count = len(encoded) / size
        elif is_raw or isinstance(data, str):
            raise TypeError(f"expected a sequence of elements, got {type(data).__name__}")
        else:
            count = len(data)
            encoded = _encode_elements(datatype, typecode, data)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise TypeError(f"{name}: {datatype}: {error}") from error
    if count != math.prod(shape):
        raise TypeError(f"{name}: shape {list(shape)} holds {math.prod(shape)} elements, data has {count:g}")
    return encoded


def _encode_elements(datatype: str, typecode: str, data: Any) -> bytes:
    if datatype == "BOOL":
        return bytes(map(_bool_byte, data))
    if datatype == "BYTES":
        texts = [item if isinstance(item, bytes) else str.encode(item) for item in data]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if isinstance(data, array.array):
        kinds = ["fd", "bhilq", "BHILQ"]
        expected = array.array(typecode)
        alike = any(data.typecode in kind and typecode in kind for kind in kinds)
        if not alike or data.itemsize != expected.itemsize:
            raise TypeError(f'expected array("{typecode}"), got array("{data.typecode}")')
    elif datatype == "FP16":
        return struct.pack(f"<{len(data)}e", *data)
    else:
        data = array.array(typecode, data)
    if sys.byteorder == "big":
        data = data[:]
        data.byteswap()
    return data.tobytes()


def _bool_byte(value: Any) -> int:
    if value in (False, True):
        return int(value)
    raise TypeError(f"expected booleans, got {value!r}")


def _decode(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Any:
    """The elements of a tensor. Raises ClientError `BAD_ANSWER` if the bytes do not fit the datatype and shape."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return _decode_texts(name, count, data)
    typecode, size, _ = _TYPES[datatype]
    if len(data) != count * size:
        raise _bad_answer(f"{name}: {datatype} {list(shape)} takes {count * size} bytes, the response has {len(data)}")
    if datatype == "BOOL":
        return [byte != 0 for byte in data]
    elements = array.array(typecode)
    elements.frombytes(data)
    if sys.byteorder == "big":
        elements.byteswap()
    return elements


def _decode_texts(name: str, count: int, data: memoryview) -> List[str]:
    texts: List[str] = []
    offset = 0
    while offset + 4 <= len(data):
        start = offset + 4
        end = start + struct.unpack_from("<I", data, offset)[0]
        if end > len(data):
            break
        try:
            texts.append(str(data[start:end], "utf-8"))
        except UnicodeDecodeError as error:
            raise _bad_answer(f"{name}: an element of BYTES is not UTF-8") from error
        offset = end
    if offset != len(data) or len(texts) != count:
        raise _bad_answer(f"{name}: expected {count} elements of BYTES, the {len(data)} bytes hold {len(texts)}")
    return texts


def _chosen_outputs(outputs: Optional[Iterable[str]], classes: Optional[Mapping[str, int]]) -> Optional[List[Dict[str, Any]]]:
    """The member `outputs` of the request; None for all outputs."""
    if outputs is None and classes is None:
        return None
    counts = classes or {}
    names = list(counts if outputs is None else outputs)
    for name in counts:
        if name not in names:
            raise TypeError(f"classes: {name} is not among the requested outputs")
    return [
        {"name": name, "parameters": {"classification": counts[name]}} if name in counts else {"name": name} for name in names
    ]


def _write_infer(
    inputs: Mapping[str, Tensor],
    outputs: Optional[List[Dict[str, Any]]],
    id: Optional[str],
    parameters: Optional[Mapping[str, Any]],
    encoding: str,
) -> Tuple[Dict[str, str], List[Any]]:
    if encoding not in ("binary", "json"):
        raise ValueError(f"encoding: expected binary or json, got {encoding}")
    blobs: List[Any] = []
    tensors: List[Dict[str, Any]] = []
    for name, tensor in inputs.items():
        member: Dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        data = _encode(name, tensor)
        if encoding == "binary":
            member["parameters"] = {"binary_data_size": len(data)}
            blobs.append(data)
        elif tensor.datatype == "FP16":
            raise TypeError(f"{name}: FP16 has no form in JSON, send it as binary")
        else:
            member["data"] = list(_decode(name, tensor.datatype, tensor.shape, memoryview(data)))
        tensors.append(member)
    request: Dict[str, Any] = {} if id is None else {"id": id}
    if encoding == "binary":
        request["parameters"] = {**(parameters or {}), "binary_data_output": True}
    elif parameters is not None:
        request["parameters"] = dict(parameters)
    request["inputs"] = tensors
    if outputs is not None:
        request["outputs"] = outputs
    head = _write_json(request)
    if encoding == "json":
        return {"Content-Type": _JSON}, [head]
    return {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(head))}, [head, *blobs]


def _read_infer(headers: http.client.HTTPMessage, body: bytes) -> InferResult:
    given = headers.get(_HEADER_LENGTH)
    length = len(body) if given is None else int(given) if given.isdecimal() else -1
    if not 0 <= length <= len(body):
        raise _bad_answer(f"{_HEADER_LENGTH} is {given}, the response has {len(body)} bytes")
    head = _object(_parse_json(body[:length]), "the response")
    version, id, parameters = head.get("model_version"), head.get("id"), head.get("parameters")
    return InferResult(
        str(head.get("model_name")),
        None if version is None else str(version),
        id if isinstance(id, str) else None,
        parameters if isinstance(parameters, dict) else None,
        _read_outputs(head.get("outputs"), memoryview(body)[length:]),
    )


def _read_outputs(items: Any, data: memoryview) -> Dict[str, Tensor]:
    if not isinstance(items, list):
        raise _bad_answer("outputs: expected an array in the response")
    outputs: Dict[str, Tensor] = {}
    for i, item in enumerate(items):
        member = _object(item, f"outputs[{i}]")
        shape: Any = member.get("shape")
        name, datatype = member.get("name"), member.get("datatype")
        is_shape = isinstance(shape, list) and all(type(dim) is int and dim >= 0 for dim in shape)
        if not (isinstance(name, str) and datatype in _TYPES and is_shape):
            raise _bad_answer(f"outputs[{i}]: expected a name, a datatype and a shape, got {str(item)[:200]}")
        size = (member.get("parameters") or {}).get("binary_data_size")
        if size is None:
            elements = _read_elements(name, datatype, shape, member.get("data"))
        elif type(size) is int and 0 <= size <= len(data):
            elements = _decode(name, datatype, shape, data[:size])
            data = data[size:]
        else:
            raise _bad_answer(f"{name}: binary_data_size is {size}, {len(data)} bytes are left")
        outputs[name] = Tensor(datatype, tuple(shape), elements)
    if len(data) > 0:
        raise _bad_answer(f"{len(data)} bytes of the response belong to no output")
    return outputs


def _read_elements(name: str, datatype: str, shape: Sequence[int], data: Any) -> Any:
    """The `data` of a tensor in JSON, nested or flat."""
    flat: List[Any] = []
    stack = [iter([data])] if isinstance(data, list) else []
    while stack:
        for value in stack[-1]:
            if isinstance(value, list):
                stack.append(iter(value))
                break
            flat.append(value)
        else:
            stack.pop()
    if not isinstance(data, list) or len(flat) != math.prod(shape):
        got = len(flat) if isinstance(data, list) else "none"
        raise _bad_answer(f"{name}: expected {math.prod(shape)} elements for {list(shape)}, the response has {got}")
    elements = [_read_element(f"{name}: element {i}", datatype, value) for i, value in enumerate(flat)]
    typecode = _TYPES[datatype][0]
    try:
        return array.array(typecode, elements) if typecode else elements
    except OverflowError as error:
        raise _bad_answer(f"{name}: {error}") from error


def _read_element(place: str, datatype: str, value: Any) -> Any:
    if datatype == "BOOL" and isinstance(value, bool) or datatype == "BYTES" and isinstance(value, str):
        return value
    if datatype == "FP16":
        raise _bad_answer(f"{place} is FP16, which has no form in JSON: use the encoding binary")
    if datatype in ("FP32", "FP64"):
        number = _SPELLED.get(value) if isinstance(value, str) else value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
    elif datatype not in ("BOOL", "BYTES") and type(value) in (int, float) and value == value // 1:
        return int(value)
    raise _bad_answer(f"{place}: expected {datatype}, got {str(value)[:200]}")
