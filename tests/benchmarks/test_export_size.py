import json

import pytest


@pytest.fixture
def export_size(benchmark_script):
    return benchmark_script("export_size")


@pytest.mark.parametrize("network", ["VGG16", pytest.param("VGGFace", marks=pytest.mark.slow)])
def test_a_network_for_small_images_is_measured(export_size, network):
    row = export_size.measure(network, "float32", 48)
    assert row.stored == row.weights == 32
    assert row.bytes > row.weight_bytes > 1e8
    assert row.ratio <= export_size.LARGEST_RATIO
    assert row.seconds > 0
    assert row.peak >= row.peak_before > 0.1  # GB: TensorFlow alone takes more


@pytest.mark.slow
def test_vgg16_takes_the_place_of_its_weights(export_size, tmp_path, capsys):
    output = tmp_path / "size.json"
    (row,) = export_size.main(["VGG16"], "float32", 224, output)
    assert row.stored == row.weights == 32
    assert row.ratio <= export_size.LARGEST_RATIO
    printed = capsys.readouterr().out
    assert "| VGG16 | float32 | 32 of 32 |" in printed
    assert "(met); target: 1.02 at most" in printed
    (stored,) = json.loads(output.read_text())["figures"]
    assert stored["bytes"] == row.bytes
