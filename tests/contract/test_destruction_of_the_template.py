"""Everything that the template makes is listed by `refit destroy`, or named as free of charge."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import boto3
import pytest
from refit_cli.destruction.listings import FREE_OF_CHARGE, LISTINGS, RETAINED, Listing
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.support.template import RESOURCES, TEMPLATE

ALL = {**LISTINGS, **RETAINED}


@cache
def deployed_types() -> frozenset[str]:
    """Return the types that the template has after SAM's transform."""
    template = deepcopy(TEMPLATE)
    defaults = {
        name: parameter.get("Default") for name, parameter in template["Parameters"].items()
    }
    for resource in template["Resources"].values():
        for key in ("CodeUri", "ContentUri", "DefinitionUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = "s3://bucket/key"
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    done = translator.translate(template, parameter_values=defaults)
    return frozenset(resource["Type"] for resource in done["Resources"].values())


def test_every_type_of_the_template_is_listed_or_free_of_charge() -> None:
    assert deployed_types() <= ALL.keys() | FREE_OF_CHARGE.keys()


def test_no_type_is_listed_that_the_template_does_not_have() -> None:
    assert ALL.keys() | FREE_OF_CHARGE.keys() <= deployed_types()
    assert not ALL.keys() & FREE_OF_CHARGE.keys()


def test_the_resources_that_the_template_retains_are_those_that_are_deleted_after_the_stack() -> (
    None
):
    kept = {each["Type"] for each in RESOURCES.values() if "DeletionPolicy" in each}
    assert kept == RETAINED.keys()
    assert all("DeletionPolicy" in each for each in RESOURCES.values() if each["Type"] in kept)


@pytest.mark.parametrize("listing", ALL.values(), ids=ALL.keys())
def test_a_listing_reads_what_the_service_answers(listing: Listing) -> None:
    client = boto3.client(listing.service, region_name="us-east-1")
    operation = client.meta.method_to_api_mapping[listing.operation]
    model = client.meta.service_model.operation_model(operation)
    assert all(name in model.input_shape.members for name, _ in listing.request)
    entry = model.output_shape.members[listing.result].member
    if listing.member is None:
        assert entry.type_name == "string"
    else:
        assert entry.members[listing.member].type_name == "string"
