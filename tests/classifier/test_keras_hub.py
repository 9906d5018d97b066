"""KerasHub's image classifiers, in small configurations with random weights.

Which layer is found in every family, and that predictions inside the wrapper are the network's own.
"""

import keras
import numpy as np
import pytest

from tf_taintradar import TaintRadarModel

hub = pytest.importorskip("keras_hub", reason="keras_hub is not installed: extra `hub`")

SHAPE = (96, 96, 3)
CLASSES = 7


def resnet(block_type, **settings):
    return hub.models.ResNetBackbone(
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type=block_type,
        image_shape=SHAPE,
        **settings,
    )


def efficientnet(**settings):
    n = 3
    return hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3] * n,
        stackwise_num_repeats=[1] * n,
        stackwise_input_filters=[8, 8, 16],
        stackwise_output_filters=[8, 16, 24],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_strides=[1, 2, 2],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        num_features=32,
        input_shape=SHAPE,
        **settings,
    )


def mobilenet(*, se, activation, **settings):
    n = [2, 2]
    return hub.models.MobileNetBackbone(
        stackwise_expansion=[[16, 24], [24, 48]],
        stackwise_num_blocks=n,
        stackwise_num_filters=[[8, 8], [16, 16]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[se, se]] * 2,
        stackwise_activation=[[activation] * 2] * 2,
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=8,
        input_activation=activation,
        output_activation=activation,
        input_num_filters=8,
        image_shape=SHAPE,
        **settings,
    )


def mobilenet_v5():
    zeros = [[0], [0, 0]]
    return hub.models.MobileNetV5Backbone(
        stackwise_block_types=[["er"], ["uir", "uir"]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [16, 16]],
        stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["relu"], ["relu", "relu"]],
        stackwise_exp_ratios=[[4.0], [6.0, 6.0]],
        stackwise_se_ratios=[[0.0], [0.0, 0.0]],
        stackwise_dw_kernel_sizes=[[0], [5, 5]],
        stackwise_exp_kernel_sizes=[[3], [0, 0]],
        stackwise_pw_kernel_sizes=[[1], [0, 0]],
        stackwise_use_cpe=[[False], [False, False]],
        use_msfa=False,
        image_shape=SHAPE,
        **{
            f"stackwise_{name}": zeros
            for name in (
                "dw_start_kernel_sizes", "dw_end_kernel_sizes", "num_heads", "key_dims",
                "value_dims", "kv_strides",
            )
        },
    )  # fmt: skip


def cspnet():
    return hub.models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 1, 1],
        stackwise_strides=[2, 2, 2],
        stackwise_num_filters=[8, 16, 24],
        block_type="dark_block",
        stage_type="dark",
        image_shape=SHAPE,
    )


def mit():
    return hub.models.MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        image_shape=SHAPE,
        hidden_dims=[8, 16],
    )


def hgnet():
    return hub.models.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=8,
        hidden_sizes=[16, 24],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=False,
        stackwise_stage_filters=[(8, 8, 16, 1, 1, 3), (16, 8, 24, 1, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, False],
        image_shape=SHAPE,
    )


def vit():
    return hub.models.ViTBackbone(SHAPE, 16, 3, 2, 16, 32)


def deit():
    return hub.models.DeiTBackbone(SHAPE, 16, 3, 2, 16, 32)


SQUEEZED = {"stackwise_squeeze_and_excite_ratios": [0.25] * 3}
LITE = {"stackwise_squeeze_and_excite_ratios": [0] * 3, "activation": "relu6"}
NEXT = {"depthwise_stride": 2, "depthwise_residual": False}
FAMILIES = {
    "ResNet": (
        "ResNet",
        lambda: resnet("basic_block", input_conv_filters=[64], input_conv_kernel_sizes=[7]),
    ),
    "ResNet-D": (
        "ResNet",
        lambda: resnet(
            "bottleneck_block_vd",
            input_conv_filters=[8, 8, 64],
            input_conv_kernel_sizes=[3, 3, 3],
        ),
    ),
    "VGG": ("VGG", lambda: hub.models.VGGBackbone([1, 1, 2], [8, 8, 16], image_shape=SHAPE)),
    "EfficientNet": (
        "EfficientNet",
        lambda: efficientnet(stackwise_block_types=["v1"] * 3, **SQUEEZED),
    ),
    "EfficientNet-Lite": (
        "EfficientNet",
        lambda: efficientnet(stackwise_block_types=["v1"] * 3, **LITE),
    ),
    "DenseNet": (
        "DenseNet",
        lambda: hub.models.DenseNetBackbone([2, 2], image_shape=SHAPE, growth_rate=8),
    ),
    "MobileNet, squeezing": (
        "MobileNet",
        lambda: mobilenet(se=0.25, activation="hard_swish", last_layer_filter=32, **NEXT),
    ),
    "MobileNet": (
        "MobileNet",
        lambda: mobilenet(se=None, activation="relu6", last_layer_filter=32, **NEXT),
    ),
    "MobileNetV5": ("MobileNetV5", mobilenet_v5),
    "MiT": ("MiT", mit),
    "CSP": ("CSPNet", cspnet),
    "Xception": (
        "Xception",
        lambda: hub.models.XceptionBackbone(
            [[8, 16], [24, 24], [32, 32]], [True, True, False], image_shape=SHAPE
        ),
    ),
    "HGNet": ("HGNetV2", hgnet),
    "ViT": ("ViT", vit),
    "DeiT": ("DeiT", deit),
}
FOUND = {
    "ResNet": ("stack2_block0_out", (6, 6, 64)),
    "ResNet-D": ("stack2_block0_out", (6, 6, 256)),
    "VGG": ("head/fc2", (6, 6, 4096)),
    "EfficientNet": ("top_activation", (12, 12, 32)),
    "EfficientNet-Lite": ("top_activation", (12, 12, 32)),
    "DenseNet": ("relu", (12, 12, 56)),
    "MobileNet, squeezing": ("block_3_0", (6, 6, 32)),
    "MobileNet": ("block_3_0", (6, 6, 32)),
    "MobileNetV5": ("universal_inverted_residual_1", (12, 12, 16)),
    "MiT": ("layer_normalization_8", (12, 12, 16)),
    "CSP": ("stage_2_block_0_dark_block_add", (12, 12, 24)),
    "Xception": ("block3_sepconv2_act", (12, 12, 32)),
    "HGNet": ("head_last", (12, 12, 24)),
    "ViT": ("vit_encoder/transformer_block_2", (6, 6, 16)),
    "DeiT": ("deit_encoder/transformer_block_2", (6, 6, 16)),
}
"""The feature layer, within the backbone, and the shape of the feature map."""


def build(family):
    keras.utils.set_random_seed(1)
    kind, backbone = FAMILIES[family]
    if not hasattr(hub.models, f"{kind}ImageClassifier"):
        pytest.skip(f"keras_hub {hub.__version__} has no {kind}ImageClassifier")
    scaling = hub.layers.ImageConverter(image_size=SHAPE[:2], scale=1 / 127.5, offset=-1.0)
    return getattr(hub.models, f"{kind}ImageClassifier")(
        backbone=backbone(),
        num_classes=CLASSES,
        activation="softmax",
        preprocessor=hub.models.ImageClassifierPreprocessor(image_converter=scaling),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layer_and_the_predictions(family):
    classifier = build(family)
    radar = TaintRadarModel(classifier, score_threshold=0.0)
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)
    answers = radar.predict(images, verbose=0)
    own = classifier.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers["predictions"], own, atol=1e-5)
    assert np.isfinite(answers["score"]).all()
    layer = radar.opened.feature_layer.removeprefix(f"{classifier.backbone.name}/")
    assert (layer, radar.opened.feature_shape) == FOUND[family]
