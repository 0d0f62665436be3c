"""Where Fuel has ``YouTubeAudio``."""

from penstock.compat.fuel.datasets.converted import YouTubeAudio

__all__ = ["YouTubeAudio"]
