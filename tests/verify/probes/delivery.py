"""Firehose: the role of a stream, and the names of objects with refused records."""

from __future__ import annotations

import json

from tests.verify import own_stack
from tests.verify.cleaning import delete_role
from tests.verify.probes.base import DIFFERS, HOLDS, Answer, Lab, NoSubject, Probe
from tests.verify.target import STACK

ERRORS = "_refused/"
EXTENSION = ".jsonl"


class ErrorObjectExtension(Probe):
    name = "error-object-extension"
    assumption = "FileExtension is not put on Firehose's error objects."
    question = f"Does the name of an error object end in {EXTENSION}?"

    def ask(self, lab: Lab) -> Answer:
        bucket, s3 = lab.outputs["BucketName"], lab.client("s3")
        known = self._keys(s3, bucket)
        lab.client("firehose").put_record(
            DeliveryStreamName=_stream(lab), Record={"Data": b"this is not JSON\n"}
        )
        keys = lab.wait_for(
            lambda: self._keys(s3, bucket) - known, "the error object", lab.long_s(1200)
        )
        lab.evidence.append(f"objects: {sorted(keys)}")
        if any(key.endswith(EXTENSION) for key in keys):
            return Answer(DIFFERS, "It has the extension.")
        return Answer(HOLDS, "It has no extension.")

    @staticmethod
    def _keys(s3, bucket: str) -> set[str]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=ERRORS)
        return {entry["Key"] for entry in listed.get("Contents", [])}


class StreamRoleCondition(Probe):
    name = "stream-role-condition"
    assumption = "Firehose may not assume a role that asks for aws:SourceAccount."
    question = "Is a delivery stream created whose role asks for aws:SourceAccount?"

    def ask(self, lab: Lab) -> Answer:
        firehose, bucket = lab.client("firehose"), lab.outputs["BucketName"]
        role, name = self._role(lab), lab.name("stream")
        request = {
            "DeliveryStreamName": name,
            "ExtendedS3DestinationConfiguration": {
                "RoleARN": role,
                "BucketARN": f"arn:{lab.partition}:s3:::{bucket}",
                "Prefix": "_probe/",
            },
        }

        def is_created() -> bool:
            refused = lab.attempt(
                "CreateDeliveryStream", firehose.create_delivery_stream, **request
            )
            return refused is None

        try:
            # IAM may know the role only after some seconds, which looks like a refusal.
            lab.wait_for(is_created, "the creation of the stream", lab.long_s(60))
        except NoSubject:
            return Answer(HOLDS, "It is not, within a minute.")
        lab.undo.callback(firehose.delete_delivery_stream, DeliveryStreamName=name)
        return Answer(DIFFERS, "It is: the template may ask for it.")

    @staticmethod
    def _role(lab: Lab) -> str:
        iam, name = lab.client("iam"), lab.name("stream-role")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": lab.target.account}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        lab.undo.callback(delete_role, iam, name)
        return str(created["Role"]["Arn"])


def _stream(lab: Lab) -> str:
    for kind, name in own_stack.resources(lab.target, STACK):
        if kind == "AWS::KinesisFirehose::DeliveryStream":
            return name
    raise NoSubject("the stack has no delivery stream")
