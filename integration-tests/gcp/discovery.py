"""The compute v1 discovery document that google-api-python-client ships."""

import functools
import json
import pathlib

import googleapiclient


@functools.cache
def document():
    place = pathlib.Path(googleapiclient.__file__).parent / "discovery_cache/documents/compute.v1.json"
    return json.loads(place.read_text())
