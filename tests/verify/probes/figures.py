"""Figures of AWS that no document has. These probes only read."""

from __future__ import annotations

from tests.verify.probes.base import DIFFERS, HOLDS, UNKNOWN, Answer, Lab, Probe

_FEW_SHARDS = 8
_TRANSFORM_QUOTA = "Number of instances across all transform jobs"
_CHALLENGER_AND_CHAMPION = 2


class StreamShards(Probe):
    name = "stream-shards"
    assumption = "The stream of a new on-demand table has few shards."
    question = "How many open shards has the stream of InferenceTable?"

    def ask(self, lab: Lab) -> Answer:
        table = lab.client("dynamodb").describe_table(TableName=lab.outputs["InferenceTableName"])
        streams, request = lab.client("dynamodbstreams"), {}
        shards = []
        while True:
            described = streams.describe_stream(
                StreamArn=table["Table"]["LatestStreamArn"], **request
            )["StreamDescription"]
            shards += described["Shards"]
            if "LastEvaluatedShardId" not in described:
                break
            request = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
        # A closed shard has the number of its last record.
        ends = (
            shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber") for shard in shards
        )
        count = sum(end is None for end in ends)
        lab.evidence.append(f"{count} open shards of {len(shards)}")
        return Answer(HOLDS if count <= _FEW_SHARDS else DIFFERS, f"It has {count}.")


class TransformQuotaDefault(Probe):
    name = "transform-quota-default"
    assumption = "By default, an account may use two instances for transform jobs at a time."
    question = "What is the default of the quota of instances across all transform jobs?"

    def ask(self, lab: Lab) -> Answer:
        pages = lab.client("service-quotas").get_paginator("list_aws_default_service_quotas")
        for page in pages.paginate(ServiceCode="sagemaker"):
            for quota in page["Quotas"]:
                if quota["QuotaName"] == _TRANSFORM_QUOTA:
                    value = int(quota["Value"])
                    lab.evidence.append(f"{quota['QuotaCode']}: {value}")
                    verdict = HOLDS if value >= _CHALLENGER_AND_CHAMPION else DIFFERS
                    return Answer(verdict, f"It is {value}.")
        return Answer(UNKNOWN, f"There is no quota with the name {_TRANSFORM_QUOTA}.")
