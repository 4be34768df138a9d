"""The published weight files that recipes may name."""

from fgbench.backbones.spec import IMAGENET, InputSpec, WeightSpec
from fgbench.util.registry import Registry

weight_specs: Registry[WeightSpec] = Registry(
    "weight file",
    lambda candidate: isinstance(candidate, WeightSpec),
    "a fgbench.backbones.WeightSpec",
    group="fgbench.weights",
)

_VGG16 = ("relu5_3", "relu5_3_ceil", "conv5_3", "pool")
_VGG19 = ("relu5_4", "conv5_4", "pool", "relu7")
_VGG16_FC = ("relu7", "fcn7", "fcn7_same")
_MATCONVNET = "https://www.vlfeat.org/matconvnet/models"
_TORCHVISION = "https://download.pytorch.org/models"
# The MD5 sums are those of MatConvNet (doc/site/docs/pretrained.md) for betas 23 to 25, 19 to 22, 17 and 18, and of
# November 2015. According to that page the editions are numerically equivalent.
# The names of torchvision's files contain the first eight digits of their SHA-256.
_SPECS = (
    WeightSpec(
        name="vgg16.matconvnet",
        network="vgg16",
        files=("imagenet-vgg-verydeep-16.mat",),
        format="matconvnet",
        input=None,
        taps=(*_VGG16, *_VGG16_FC),
        url=f"{_MATCONVNET}/imagenet-vgg-verydeep-16.mat",
        md5=(
            "f72d927587ca4c97fbd165ec9cb9997f",
            "7f0f9f01dfd99c7b7088d1c5a26eb483",
            "5a68244cf55c66fea59e23ee63cf56ef",
            "7d2a4cbdf77ee1dbbd34f6da68eb71c0",
        ),
        note="the papers' D-Net, with fc6 and fc7; terms at www.robots.ox.ac.uk/~vgg/research/very_deep",
    ),
    WeightSpec(
        name="vgg16.caffe",
        network="vgg16",
        files=("vgg16-caffe-features-fp16.safetensors",),
        format="safetensors",
        input=InputSpec("bgr", 255.0, (103.939, 116.779, 123.68)),
        taps=_VGG16,
        sha256="eec883f1d532371a6908ad84fff8f4b62b0bc82e230e23837774177fdefc7bd8",
        size=29_431_728,
        note="the convolutions of the papers' D-Net as float16; terms at www.robots.ox.ac.uk/~vgg/research/very_deep",
    ),
    WeightSpec(
        name="vgg16.tv_features",
        network="vgg16",
        files=("vgg16_features-amdegroot-88682ab5.pth",),
        format="pth",
        input=InputSpec("rgb", 1.0, (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
        taps=_VGG16,
        url=f"{_TORCHVISION}/vgg16_features-amdegroot-88682ab5.pth",
        sha256="88682ab5",
        note="torchvision's VGG16_Weights.IMAGENET1K_FEATURES: the convolutions of the papers' D-Net for RGB",
    ),
    WeightSpec(
        name="vgg16.torchvision",
        network="vgg16",
        files=("vgg16-397923af.pth",),
        format="pth",
        input=IMAGENET,
        taps=(*_VGG16, *_VGG16_FC),
        url=f"{_TORCHVISION}/vgg16-397923af.pth",
        sha256="397923af",
        original=False,
        note="torchvision's VGG16_Weights.IMAGENET1K_V1: another training, not the weights of the papers",
    ),
    WeightSpec(
        name="vgg19.matconvnet",
        network="vgg19",
        files=("imagenet-vgg-verydeep-19.mat",),
        format="matconvnet",
        input=None,
        taps=_VGG19,
        url=f"{_MATCONVNET}/imagenet-vgg-verydeep-19.mat",
        md5=("106118b7cf60435e6d8e04f6a6dc3657", "49e623de543b207d57fab0f6eaf79a7e"),
        note="configuration E of the papers' D-Net; terms at www.robots.ox.ac.uk/~vgg/research/very_deep",
    ),
    WeightSpec(
        name="vgg19.torchvision",
        network="vgg19",
        files=("vgg19-dcbb9e9d.pth",),
        format="pth",
        input=IMAGENET,
        taps=_VGG19,
        url=f"{_TORCHVISION}/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9d",
        original=False,
        note="torchvision's VGG19_Weights.IMAGENET1K_V1: another training, not the weights of the papers",
    ),
    WeightSpec(
        name="vggm.matconvnet",
        network="vggm",
        files=("imagenet-vgg-m.mat",),
        format="matconvnet",
        input=None,
        taps=("relu5", "conv5", "relu7"),
        url=f"{_MATCONVNET}/imagenet-vgg-m.mat",
        md5=(
            "29294d5f62578c96a3533859514235f2",
            "1c164950e882b4ea11623e669a86b1c4",
            "b4e8616c0ab66b1fda72854226f82d02",
            "476a84843ac756c015dc502cf8884afb",
        ),
        note="the papers' M-Net; terms at www.robots.ox.ac.uk/~vgg/research/deep_eval",
    ),
    WeightSpec(
        name="squeezenet1_1.onnx",
        network="squeezenet1_1",
        files=("squeezenet1_1.safetensors",),
        format="safetensors",
        input=IMAGENET,
        taps=("features", "pool"),
        sha256="c64ee0f7613d1e1522b079ed86cc4d874b8c3822c26dd1f1f33f4d910c85ae75",
        size=4_946_912,
        note="SqueezeNet 1.1 of the ONNX model zoo, Apache-2.0",
    ),
    WeightSpec(
        name="squeezenet1_1.torchvision",
        network="squeezenet1_1",
        files=("squeezenet1_1-b8a52dc0.pth",),
        format="pth",
        input=IMAGENET,
        taps=("features", "pool"),
        url=f"{_TORCHVISION}/squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc0",
        note="torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1",
    ),
)
for _spec in _SPECS:
    weight_specs(_spec.name)(_spec)
