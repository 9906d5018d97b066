"""What goes to a server and what comes back, over either protocol."""

import inspect

import numpy as np
import pytest

from tf_taintradar.errors import ImageError, ServingError
from tf_taintradar.serving import GrpcClient, RestClient
from tf_taintradar.serving.client import Client, Options


def test_both_clients_take_every_option_of_the_base():
    """`Options` types what the constructors hand on; a name missing there would not be checked."""
    taken = inspect.signature(Client).parameters.values()
    assert {one.name for one in taken if one.kind is one.KEYWORD_ONLY} == {*Options.__annotations__}
    for client in (RestClient("http://localhost:1", "demo"), GrpcClient("localhost:1", "demo")):
        assert (client.version, client.label, client.batch_size) == (None, None, 8)
        assert (client.timeout, client.retries) == (10.0, 3)
        client.close()
    with pytest.raises(TypeError, match="time_out"):
        RestClient("http://localhost:1", "demo", time_out=3)


def test_arrays(server, connect, direct, pixels, check):
    verdicts = connect(server).detect(pixels)
    check(verdicts, direct("serving_default", images=pixels))
    assert [verdict.source for verdict in verdicts] == list(range(11))
    assert all(verdict.valid for verdict in verdicts)
    assert {verdict.is_adversarial for verdict in verdicts} == {False, True}


def test_types_of_a_verdict(server, connect, pixels):
    (verdict,) = connect(server).detect(pixels[:1])
    assert type(verdict.label) is type(verdict.rank_shift) is type(verdict.recovered_label) is int
    assert type(verdict.is_adversarial) is type(verdict.valid) is bool
    assert type(verdict.score) is float
    assert (verdict.predictions.shape, verdict.predictions.dtype) == ((5,), np.float32)
    with pytest.raises(AttributeError):
        verdict.label = 0


def test_both_protocols_give_the_same_floats_to_the_last_bit(server, pixels):
    with RestClient(server.rest_url, "demo") as rest, GrpcClient(server.grpc_address, "demo") as g:
        for one, other in zip(rest.detect(pixels), g.detect(pixels), strict=True):
            assert one.score == other.score
            np.testing.assert_array_equal(one.predictions, other.predictions)


def test_batches_are_asked_as_they_come(server, connect, direct, pixels, check):
    batches = ((pixels[i : i + 3].astype("float32"), np.zeros(3)) for i in (0, 3, 6))
    verdicts = connect(server, batch_size=2).detect(batches)
    check(verdicts, direct("serving_default", images=pixels[:9]))
    assert [verdict.source for verdict in verdicts] == list(range(9))


def test_floats_are_rounded_and_integers_taken(server, connect, direct, pixels, check):
    outputs = direct("serving_default", images=pixels)
    client = connect(server)
    inner = pixels.clip(1, 254)
    check(client.detect(inner - 0.4), direct("serving_default", images=inner))
    check(client.detect(pixels.astype(np.int64)), outputs)
    check(client.detect(list(pixels)), outputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / 255.0, "multiply by 255"),
        (lambda x: x - 200.0, "Received: values from"),
        (lambda x: x[0], r"images\[None\]"),
        (lambda x: x[:, :4], "The images are 4x8, the classifier takes 8x8"),
        (lambda x: x[..., :1], "Grey images become RGB"),
        (lambda x: None, "Received: None"),
        (lambda x: [x[0], "a.png"], "mixture|do not stack"),
        (lambda x: [b"", "a.png"], "mixture"),
    ],
)
def test_what_is_no_image_is_never_sent(server, connect, pixels, change, message):
    with pytest.raises(ImageError, match=message):
        connect(server).detect(change(pixels))


def test_files_go_as_they_are(server, connect, direct, pixels, encode, check, tmp_path):
    contents = [encode(image) for image in pixels] + [b"no image"]
    for i, content in enumerate(contents):
        (tmp_path / f"{i:02}.png").write_bytes(content)
    outputs = direct("serve_bytes", image_bytes=contents)
    paths = sorted(tmp_path.iterdir())
    client = connect(server)
    for source in (tmp_path, str(tmp_path), paths, list(map(str, paths))):
        verdicts = client.detect(source)
        check(verdicts, outputs)
        assert [verdict.source for verdict in verdicts] == paths
    (verdict,) = client.detect(paths[3])
    assert (verdict.source, verdict.label) == (paths[3], outputs["label"][3])


def test_bytes(server, connect, direct, pixels, encode, check):
    contents = [encode(image) for image in pixels]
    contents[2] += b"\0" * 3  # nothing on the way may strip these
    outputs = direct("serve_bytes", image_bytes=contents)
    client = connect(server)
    verdicts = client.detect(contents)
    check(verdicts, outputs)
    assert [verdict.source for verdict in verdicts] == list(range(11))
    check(client.detect(memoryview(contents[4])), outputs, slice(4, 5))
    check(client.detect([bytearray(contents[4])]), outputs, slice(4, 5))


def test_an_undecodable_image_is_never_benign(server, connect, pixels, encode):
    good, bad = connect(server).detect([encode(pixels[0]), b"GIF89a and nothing more"])
    assert good.valid
    assert not bad.valid
    assert bad.is_adversarial
    assert (bad.label, bad.recovered_label, bad.rank_shift, bad.score) == (-1, -1, -1, -1.0)
    assert not bad.predictions.any()


def test_nothing_asked_nothing_answered(start, connect, pixels):
    server = start()
    client = connect(server)
    server.stop()
    for empty in ([], (), pixels[:0]):
        assert client.detect(empty) == []


def test_missing_files_and_empty_folders(server, connect, tmp_path):
    client = connect(server)
    with pytest.raises(ImageError, match="no file '.*a.png', and 1 more. Nothing was sent"):
        client.detect([tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(ImageError, match="holds no image"):
        client.detect(tmp_path)


def test_requests_have_at_most_batch_size_images(start, connect, pixels):
    server, sizes = start(), []
    run = server.repository.predict

    def predict(servable, signature, inputs, output_filter):
        sizes.append(len(inputs["images"]))
        return run(servable, signature, inputs, output_filter)

    server.repository.predict = predict
    connect(server, batch_size=4).detect(pixels)
    assert sizes == [4, 4, 3]


def test_versions_and_labels(server, connect, pixels):
    newest, old = connect(server).detect(pixels), connect(server, version=1).detect(pixels)
    assert [a.label for a in newest] == [b.recovered_label for b in old]  # the weights' sign
    for settings, expected in (
        ({"version": 3}, newest),
        ({"label": "canary"}, newest),
        ({"label": "stable"}, old),
    ):
        found = connect(server, **settings).detect(pixels)
        assert [verdict.label for verdict in found] == [verdict.label for verdict in expected]


def test_signatures(server, connect):
    signatures = connect(server).signatures()
    assert {"serving_default", "serve", "serve_bytes", "classify"} <= set(signatures)
    assert signatures["serving_default"].inputs == {"images": (-1, 8, 8, 3)}
    assert signatures["serve_bytes"].inputs == {"image_bytes": (-1,)}
    assert signatures["classify"].outputs == {"predictions": (-1, 5), "label": (-1,)}


def test_arguments(protocol, connect, server):
    with pytest.raises(ValueError, match="`version` or `label`"):
        connect(server, version=1, label="stable")
    for wrong in ({"timeout": 0}, {"retries": -1}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="`batch_size` at least 1"):
            connect(server, **wrong)
    if protocol == "grpc":
        with pytest.raises(ValueError, match="`retries` must be at most 4"):
            connect(server, retries=5)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("nobody", {}, "does not have model 'nobody'. Check the name in models.config"),
        ("demo", {"version": 7}, r"Specific\(demo, 7\).* 'demo', version 7"),
        ("demo", {"label": "beta"}, "label: beta Set the label in models.config"),
        ("double", {}, "'double' .* no exported detector: serving_default takes images of shape"),
    ],
)
def test_what_the_server_does_not_have(server, connect, pixels, model, settings, message):
    with pytest.raises(ServingError, match=message):
        connect(server, model, **settings).detect(pixels)


def test_a_model_without_the_signature(server, connect):
    with pytest.raises(ServingError, match="no signature 'serve_bytes'. Its signatures: serving_d"):
        connect(server, "double").detect(b"x")
