"""Fuel's settings: defaults, below ``~/.fuelrc`` (or what ``FUEL_CONFIG`` names), below the environment.

What a program sets, ``config.floatX = "float32"``, is above all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from penstock.compat.fuel.exceptions import ConfigurationError

NOT_SET = object()


class Paths(list[str]):
    """Folders. Where a single one is asked for, as by ``os.path.join(config.data_path, …)``, it is the first.

    So it was in Fuel before 0.2, which had one folder.
    """

    def __fspath__(self) -> str:
        return self[0]


def extra_downloader_converter(value: Any) -> Any:
    """Return a list of package names; a text is one with blanks between them."""
    return value.split(" ") if isinstance(value, str) else value


def multiple_paths_parser(value: Any) -> Any:
    """Return a list of paths; a text is one with the system's separator between them."""
    return Paths(value.split(os.pathsep)) if isinstance(value, str) else value


class Configuration:
    """Settings as attributes; made by ``add_config``."""

    config: dict[str, dict[str, Any]]

    def __init__(self) -> None:
        self.config = {}

    def load_yaml(self) -> None:
        """Read the file of settings, if there is one. Needs PyYAML then."""
        path = os.environ.get("FUEL_CONFIG") or os.path.expanduser("~/.fuelrc")
        if not os.path.isfile(path):
            return
        try:
            import yaml  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ImportError(
                f"{path} holds Fuel's settings, and reading it needs PyYAML: pip install pyyaml"
            ) from None
        with open(path, encoding="utf-8") as file:
            settings = yaml.safe_load(file) or {}
        for key, value in settings.items():
            if key not in self.config:
                raise ValueError(f"Unrecognized config in YAML: {key}")
            self.config[key]["yaml"] = value

    def add_config(
        self, key: str, type_: Callable[[Any], Any], default: Any = NOT_SET, env_var: str | None = None
    ) -> None:
        """Add a setting.

        Args:
            key: its name.
            type_: what makes a value of a text, or of what stands in the file.
            default: what it is where nobody says.
            env_var: the variable of the environment that says it.
        """
        setting: dict[str, Any] = {"type": type_}
        if env_var is not None:
            setting["env_var"] = env_var
        if default is not NOT_SET:
            setting["default"] = default
        self.config[key] = setting

    def __getattr__(self, key: str) -> Any:
        settings = self.__dict__.get("config", {})
        if key not in settings:
            raise AttributeError(f"Fuel has no setting {key!r}.")
        setting = settings[key]
        if "value" in setting:
            value = setting["value"]
        elif os.environ.get(setting.get("env_var", "")) is not None:
            value = os.environ[setting["env_var"]]
        elif "yaml" in setting:
            value = setting["yaml"]
        elif "default" in setting:
            value = setting["default"]
        else:
            where = f" Set {setting['env_var']}." if "env_var" in setting else ""
            raise ConfigurationError(f"Configuration not set and no default provided: {key}.{where}")
        return setting["type"](value)

    def __setattr__(self, key: str, value: Any) -> None:
        if key != "config" and key in self.config:
            self.config[key]["value"] = value
        else:
            super().__setattr__(key, value)


config = Configuration()
config.add_config("data_path", multiple_paths_parser, env_var="FUEL_DATA_PATH")
config.add_config("local_data_path", str, default="", env_var="FUEL_LOCAL_DATA_PATH")
config.add_config("default_seed", int, default=1)
config.add_config("extra_downloaders", extra_downloader_converter, default=[], env_var="FUEL_EXTRA_DOWNLOADERS")
config.add_config("extra_converters", extra_downloader_converter, default=[], env_var="FUEL_EXTRA_CONVERTERS")
config.add_config("floatX", str, default="float64", env_var="FUEL_FLOATX")
config.load_yaml()
