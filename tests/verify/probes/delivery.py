"""Firehose: the names of objects with records that could not be delivered."""

from __future__ import annotations

from tests.verify import own_stack
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


def _stream(lab: Lab) -> str:
    for kind, name in own_stack.resources(lab.target, STACK):
        if kind == "AWS::KinesisFirehose::DeliveryStream":
            return name
    raise NoSubject("the stack has no delivery stream")
