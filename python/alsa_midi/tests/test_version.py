"""The version of the module is the version of the installed package."""

import importlib.metadata

import alsa_midi


def test_version_is_that_of_the_package() -> None:
    assert alsa_midi.__version__ == importlib.metadata.version("consort-alsa-midi")
