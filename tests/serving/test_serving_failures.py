"""Servers that die, dawdle, refuse or talk nonsense: what a client does, and what it says."""

import threading
import time

import numpy as np
import pytest

from benchmarks.tf_serving import Batching, Status
from tf_taintradar.errors import ServingError


class Fails:
    """Fails the first requests, counting all of them."""

    def __init__(self, times, code="UNAVAILABLE", text="try again"):
        self.calls, self.times, self.error = 0, times, Status(code, text)

    def __call__(self):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error


def slow(seconds):
    """Each request takes this long; `begun` is set when one has arrived."""

    def wait():
        wait.begun.set()
        time.sleep(seconds)

    wait.begun = threading.Event()
    return wait


def test_nobody_there(start, connect, pixels):
    server = start()
    client = connect(server, retries=0)
    server.stop()
    with pytest.raises(ServingError, match=r"No answer from .*\d+\. Is the server running"):
        client.detect(pixels)


def test_it_fails_twice_and_then_answers(start, connect, direct, pixels, check):
    server = start()
    server.before_predict = Fails(2)
    client = connect(server, batch_size=16)
    begin = time.monotonic()
    check(client.detect(pixels), direct("serving_default", images=pixels))
    assert server.before_predict.calls == 3
    assert time.monotonic() - begin > 0.15  # it waited in between


def test_large_requests_are_sent_again_too(start, connect, encode, pixels):
    server = start()
    server.before_predict = Fails(1)
    content = encode(pixels[0]) + bytes(400_000)  # more than gRPC keeps for another attempt
    (verdict,) = connect(server).detect(content)
    assert verdict.valid
    assert server.before_predict.calls == 2


def test_retries_end(start, connect, pixels):
    server = start()
    server.before_predict = Fails(9)
    with pytest.raises(ServingError, match="try again"):
        connect(server, retries=1).detect(pixels)
    assert server.before_predict.calls == 2


def test_without_retries_one_attempt_is_made(start, connect, pixels):
    server = start()
    server.before_predict = Fails(1)
    with pytest.raises(ServingError, match="UNAVAILABLE"):
        connect(server, retries=0).detect(pixels)
    assert server.before_predict.calls == 1


def test_what_is_wrong_is_not_sent_again(start, connect, pixels):
    server = start()
    server.before_predict = Fails(9, "INVALID_ARGUMENT", "wrong")
    with pytest.raises(ServingError, match="refused the request to model 'demo'.*wrong"):
        connect(server).detect(pixels)
    assert server.before_predict.calls == 1


def test_a_slow_server(start, connect, pixels):
    server = start()
    server.before_predict = slow(1.0)
    client = connect(server, timeout=0.3)
    begin = time.monotonic()
    with pytest.raises(ServingError, match="did not answer within 0.3 seconds. Raise `timeout`"):
        client.detect(pixels)
    assert time.monotonic() - begin < 0.9  # one attempt, no second one


def test_it_dies_between_two_requests(start, connect, pixels):
    server = start()
    client = connect(server, retries=1)
    client.detect(pixels)
    server.stop()
    with pytest.raises(ServingError, match="Is the server running"):
        client.detect(pixels)


def test_it_dies_during_a_request(start, connect, pixels):
    server = start()
    server.before_predict = slow(0.5)
    client = connect(server, retries=1)
    killer = threading.Thread(target=lambda: (server.before_predict.begun.wait(), server.stop()))
    killer.start()
    begin = time.monotonic()
    with pytest.raises(ServingError, match="Is the server running"):
        client.detect(pixels)
    assert time.monotonic() - begin < 5
    killer.join()


def test_it_is_restarted_in_the_meantime(start, connect, direct, pixels, check):
    server = start()
    client = connect(server, batch_size=16, retries=4)  # on a busy machine it takes its time
    client.detect(pixels[:1])
    server.stop()
    ports = {"rest_port": server.rest_port, "grpc_port": server.grpc_port}
    timer = threading.Timer(0.3, start, kwargs=ports)
    timer.start()
    check(client.detect(pixels), direct("serving_default", images=pixels))
    timer.join()


def test_it_is_back_and_soon_found_again(start, connect, pixels):
    """By itself gRPC waits a second after the first failure, and up to two minutes later on."""
    server = start()
    client = connect(server, retries=0)
    client.detect(pixels)
    server.stop()
    with pytest.raises(ServingError):
        client.detect(pixels)
    start(rest_port=server.rest_port, grpc_port=server.grpc_port)
    time.sleep(0.3)
    client.detect(pixels)


def test_messages_that_are_too_large(start, connect, encode, pixels):
    server = start(max_message_bytes=100_000)
    content = encode(pixels[0]) + bytes(200_000)
    with pytest.raises(ServingError, match="too large for the server or something before it. Low"):
        connect(server).detect(content)
    connect(server).detect(encode(pixels[0]))


def test_more_than_the_4_mb_that_grpc_takes_by_itself(start, connect, encode, pixels):
    server = start()
    run = server.repository.predict

    def predict(*arguments):
        outputs = run(*arguments)
        return {**outputs, "maps": np.zeros((len(outputs["label"]), 200_000), np.float32)}

    server.repository.predict = predict
    contents = [encode(pixels[0]) + bytes(900_000)] * 6
    assert len(connect(server).detect(contents)) == 6


def test_more_images_than_the_server_joins(start, connect, pixels):
    server = start(batching=Batching(allowed_batch_sizes=(1, 4)))
    with pytest.raises(ServingError, match="Task size 8 is larger .* Lower the client's `batch_s"):
        connect(server).detect(pixels)


def test_another_version_takes_other_images(start, connect, pixels):
    """The client checks against what it was told once; the server still has the last word."""
    server = start()
    client = connect(server)
    client.detect(pixels)
    client._signatures["serving_default"].inputs["images"] = (-1, 4, 8, 3)
    with pytest.raises(ServingError, match="refused the request .* make a new client"):
        client.detect(pixels[:, :4])


@pytest.mark.parametrize("protocol", ["rest"], indirect=True)
@pytest.mark.parametrize(
    "answer",
    [
        b"<html>welcome</html>",
        b'{"predictions": [{"label": 1',
        b"[1, 2]",
        b'{"outputs": {}}',
        b'{"predictions": []}',
        b'{"predictions": [1.0, 2.0]}',
        b'{"predictions": [{"label": 1}]}',
        b"",
    ],
)
def test_answers_that_make_no_sense(start, connect, pixels, answer):
    server = start()
    server.garble = lambda _: answer
    with pytest.raises(ServingError, match="malformed"):
        connect(server).detect(pixels)


@pytest.mark.parametrize("protocol", ["rest"], indirect=True)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"label": ', b'"label": 0.5, "was": ', "`label` must have 1 rows of rank 1; received fl"),
        (b'"is_adversarial"', b'"other"', "`is_adversarial` .* received nothing"),
        (b'"score": ', b'"score": null, "was": ', "`score` .* received object"),
        (b'"predictions": [\n            ', b'"predictions": [[],', "`predictions`"),
    ],
)
def test_answers_with_wrong_fields(start, connect, pixels, old, new, message):
    server = start()
    server.garble = lambda answer: answer.replace(old, new)
    with pytest.raises(ServingError, match=message):
        connect(server).detect(pixels[:1])


@pytest.mark.parametrize("protocol", ["rest"], indirect=True)
def test_not_a_number_comes_through(start, connect, pixels):
    server = start()
    server.garble = lambda answer: answer.replace(b'"score": ', b'"score": NaN, "was": ')
    (verdict,) = connect(server).detect(pixels[:1])
    assert np.isnan(verdict.score)
