"""The model server handles valid and malformed HTTP."""

import signal
import socket

import psutil
import pytest
from xgboost_container import FIXTURES, copy_model, free_port, serving, serving_process

ROW = b"-0.80193,-1.32436,-0.24836,0.42045,1.13605"
RESPONSE = b"0.15067484974861145\n"
MODEL = FIXTURES / "oracle" / "binary_logistic" / "model"


def post(body=ROW, *headers, version="1.1"):
    lines = [f"POST /invocations HTTP/{version}", "Host: x", "Content-Type: text/csv", *headers]
    if not any(header.lower().startswith("transfer-encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_PING = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    with serving(MODEL) as client:
        yield client


def statuses(received):
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def test_pipelined_requests_get_their_responses_in_order(server):
    received = server.raw(post() + PING + post(b"x,y") + post() + LAST_PING)
    assert statuses(received) == [200, 200, 415, 200, 200]
    assert received.count(RESPONSE) == 2


def test_a_thousand_pipelined_requests_all_get_responses(server):
    received = server.raw(post() * 1000 + LAST_PING)
    assert received.count(RESPONSE) == 1000


def test_a_request_may_arrive_byte_by_byte(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(ROW, "Connection: close"):
            connection.sendall(bytes([byte]))
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.endswith(RESPONSE)


def test_a_chunked_body_is_accepted(server):
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, ROW[:10], len(ROW) - 10, ROW[10:])
    received = server.raw(post(chunks, "Transfer-Encoding: chunked", "Connection: close"))
    assert received.endswith(RESPONSE)


def test_a_client_that_expects_100_continue_receives_it(server):
    head, _, body = post(ROW, "Expect: 100-continue", "Connection: close").rpartition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.endswith(RESPONSE)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    head = post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 99999999")
    received = server.raw(head, until=b"</p>")
    assert statuses(received) == [413]
    assert b"Connection: close" in received


def test_a_chunked_body_that_is_too_large_is_refused(server):
    chunk = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
    request = post(chunk * 7 + b"0\r\n\r\n", "Transfer-Encoding: chunked")
    assert statuses(server.raw(request, until=b"</p>")) == [413]


def test_an_http_1_0_client_gets_its_response_and_the_connection_is_closed(server):
    received = server.raw(post(ROW, version="1.0"))
    assert received.endswith(RESPONSE)
    assert b"Connection: close" in received


def test_an_http_1_0_client_may_request_keep_alive(server):
    request = post(ROW, "Connection: keep-alive", version="1.0")
    received = server.raw(request + LAST_PING)
    assert statuses(received) == [200, 200]
    assert b"Connection: keep-alive" in received


def test_a_client_that_has_closed_its_sending_side_still_gets_its_responses(server):
    # Semicolons are read slowly: the sending side is closed before the predictions are ready.
    rows = b"\n".join([ROW.replace(b",", b";")] * 60_000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(post(rows) + post())
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.count(RESPONSE) == 60_001


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (post(b"1", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (PING.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost"), 400),
        (PING.replace(b"/ping", b"/" + b"x" * 9000), 414),
        (PING.replace(b"Host", b"Cookie: " + b"x" * 70_000 + b"\r\nHost"), 431),
    ],
    ids=["no HTTP", "bad header", "TLS", "two lengths", "upgrade", "long URL", "long header"],
)
def test_a_malformed_request_is_refused_and_the_server_stays_available(
    server, request_bytes, status
):
    received = server.raw(request_bytes, until=b"</p>")
    assert statuses(received) == [status]
    assert b"Connection: close" in received
    assert server.is_up()


def test_a_request_before_a_malformed_one_still_gets_its_response(server):
    received = server.raw(post() + b"nonsense\r\n\r\n", until=b"</p>")
    assert statuses(received) == [200, 400]


def test_clients_that_disconnect_early_do_not_affect_the_server(server):
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(post() * 3)
    assert server.is_up()


def test_sigterm_ends_the_server_after_the_requests_that_have_begun(tmp_path):
    job = copy_model(MODEL.parent, tmp_path)
    with serving_process(job) as (client, process):
        with socket.create_connection(("127.0.0.1", client.port), timeout=30) as begun:
            idle = socket.create_connection(("127.0.0.1", client.port), timeout=30)
            idle.sendall(PING)
            assert b"200" in idle.recv(65536)
            request = post()
            begun.sendall(request[:-5])
            assert client.is_up()
            process.send_signal(signal.SIGTERM)
            assert idle.recv(65536) == b""
            idle.close()
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", client.port), timeout=30)
            begun.sendall(request[-5:])
            received = b""
            while part := begun.recv(65536):
                received += part
        assert received.endswith(RESPONSE)
        assert b"Connection: close" in received
        assert process.wait(timeout=30) == 0


def test_a_port_in_use_is_named_in_the_log(tmp_path):
    job = copy_model(MODEL.parent, tmp_path)
    with socket.create_server(("127.0.0.1", port := free_port())):
        process = job.start("serve", SAGEMAKER_BIND_TO_PORT=str(port))
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Unable to listen on 127.0.0.1 port {port}" in log


def test_the_server_does_not_load_scikit_learn_and_pandas(tmp_path):
    job = copy_model(MODEL.parent, tmp_path)
    with serving_process(job) as (client, process):
        assert client.is_up()
        loaded = {entry.path for entry in psutil.Process(process.pid).memory_maps()}
    assert any("libxgboost" in path for path in loaded)
    assert not any("sklearn" in path or "pandas" in path for path in loaded)
