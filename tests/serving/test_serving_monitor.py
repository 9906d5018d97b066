"""A monitor around a client."""

from tf_taintradar.monitor import Monitor


def test_a_watched_client_answers_as_before(server, connect, pixels, encode):
    monitor, client = Monitor(None, rate=0.5), connect(server)
    detect = monitor.watch(client.detect)
    contents = [encode(image) for image in pixels] + [b"no image"]
    found, expected = detect(contents), client.detect(contents)
    assert [one.score for one in found] == [one.score for one in expected]
    report = monitor.report()
    assert (report.n_images, report.n_invalid) == (len(pixels), 1)
    assert report.n_flagged == sum(one.is_adversarial for one in expected if one.valid)
    assert report.seconds.counts.sum() == 1
