"""Fuel's datasets: in memory, HDF5, text, and the converted files of well-known ones."""

from penstock.compat.fuel.datasets.base import Dataset, IndexableDataset, IterableDataset
from penstock.compat.fuel.datasets.converted import (
    CIFAR10,
    CIFAR100,
    ILSVRC2010,
    ILSVRC2012,
    MNIST,
    SVHN,
    Adult,
    BinarizedMNIST,
    CalTech101Silhouettes,
    CelebA,
    DogsVsCats,
    Iris,
    YouTubeAudio,
)
from penstock.compat.fuel.datasets.hdf5 import H5PYDataset
from penstock.compat.fuel.datasets.text import OneBillionWord, TextFile

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "ILSVRC2010",
    "ILSVRC2012",
    "MNIST",
    "SVHN",
    "Adult",
    "BinarizedMNIST",
    "CalTech101Silhouettes",
    "CelebA",
    "Dataset",
    "DogsVsCats",
    "H5PYDataset",
    "IndexableDataset",
    "Iris",
    "IterableDataset",
    "OneBillionWord",
    "TextFile",
    "YouTubeAudio",
]
