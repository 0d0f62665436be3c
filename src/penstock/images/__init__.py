"""Images: from files to arrays, no larger than needed; and augmentations that draw from each item's own generator.

    decode, header                          files              resize, crop, flip, …   functions of one image
    RandomResizedCrop, RandomFlip, …        augmentations: values to give to ``dataset.map(…, rng=True)``, which change
                                            masks, boxes and points along with the image
    Albumentations, Seeded                  other libraries' augmentations, seeded by item

Stands on OpenCV: ``pip install 'penstock[images]'``. An image is an array of (height, width, channels) in the order
red, green, blue, of uint8, uint16, or floating point from 0 to 1.
"""

from penstock.images.augmentation import Augmentation
from penstock.images.changes import Change
from penstock.images.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    compress,
    erase,
    gaussian_blur,
    grayscale,
    normalize,
    to_float,
)
from penstock.images.decoding import decode, header
from penstock.images.foreign import Albumentations, Seeded
from penstock.images.geometry import affine, center_crop, crop, flip, pad, perspective, rotate
from penstock.images.headers import Header
from penstock.images.moving import RandomAffine, RandomFlip, RandomPerspective, RandomRotation
from penstock.images.noise import Cutout, GaussianBlur, GaussianNoise, JpegNoise, RandomErasing, SaltAndPepper
from penstock.images.placing import CenterCrop, Pad, RandomCrop, RandomResize, RandomResizedCrop, Resize
from penstock.images.recolouring import ColorJitter, Lighting, Normalize, RandomGamma, RandomGrayscale
from penstock.images.resizing import resize
from penstock.surface.hinting import making as _making

__all__ = [
    "Albumentations",
    "Augmentation",
    "CenterCrop",
    "Change",
    "ColorJitter",
    "Cutout",
    "GaussianBlur",
    "GaussianNoise",
    "Header",
    "JpegNoise",
    "Lighting",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGamma",
    "RandomGrayscale",
    "RandomPerspective",
    "RandomResize",
    "RandomResizedCrop",
    "RandomRotation",
    "Resize",
    "SaltAndPepper",
    "Seeded",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "center_crop",
    "compress",
    "crop",
    "decode",
    "erase",
    "flip",
    "gaussian_blur",
    "grayscale",
    "header",
    "normalize",
    "pad",
    "perspective",
    "resize",
    "rotate",
    "to_float",
]

_making(globals())
