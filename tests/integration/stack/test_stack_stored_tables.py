"""DynamoDB of the local stack: what was answered survives the death of the server."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from refit_local.stack.emulator_settings import environment
from stack_under_test import KEYS, LocalAws, started_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
INDEX = {
    "IndexName": "Owners",
    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
COUNTER = {"id": {"S": "counter"}}
ADD_ONE = {
    "Key": COUNTER,
    "UpdateExpression": "ADD n :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}
EXPIRY = """
import asyncio, json, sys
from pathlib import Path
from refit_local.ministack import stored_tables, table_expiry
from refit_local.ministack.names import Hook
from refit_local.state.database import connect

def call(operation, **request):
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    handle = Hook.TABLES_HANDLE.get()
    status, _, body = asyncio.run(handle("POST", "/", headers, json.dumps(request).encode(), {}))
    assert status == 200, body
    return json.loads(body)

database = connect(Path(sys.argv[1]))
stored_tables.install(database)
table_expiry.install(database)
key = [{"AttributeName": "id", "KeyType": "HASH"}]
types = [{"AttributeName": "id", "AttributeType": "S"}]
call("CreateTable", TableName="ttl", KeySchema=key, AttributeDefinitions=types,
     BillingMode="PAY_PER_REQUEST")
for name, at in (("past", "99"), ("future", "101")):
    call("PutItem", TableName="ttl", Item={"id": {"S": name}, "until": {"N": at}})
table_expiry.delete_expired(database, 100.0)
assert call("Scan", TableName="ttl")["Count"] == 2, "no time to live is set"
call("UpdateTimeToLive", TableName="ttl",
     TimeToLiveSpecification={"AttributeName": "until", "Enabled": True})
table_expiry.delete_expired(database, 100.0)
print([item["id"]["S"] for item in call("Scan", TableName="ttl")["Items"]])
print(call("DescribeTable", TableName="ttl")["Table"]["ItemCount"])
"""


class Killable:
    """An emulator that can be killed and started again on the same state."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.start()

    def start(self) -> None:
        self.aws, self._server = started_emulator(self.state)

    def kill(self) -> None:
        self._server.kill()
        self._server.communicate()

    @property
    def tables(self) -> Any:
        """The client of DynamoDB, which repeats no request."""
        return boto3.client(
            "dynamodb",
            endpoint_url=self.aws.url,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
            **{name.lower(): value for name, value in KEYS.items()},
        )


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[Killable]:
    emulator = Killable(tmp_path)
    yield emulator
    emulator.kill()


def put(name: str, **attributes: str) -> dict[str, Any]:
    return {"id": {"S": name}, **{key: {"S": value} for key, value in attributes.items()}}


def names(aws: LocalAws, table: str, **request: Any) -> list[str]:
    """Return the ids of all items, page by page."""
    scan = aws.client("dynamodb").get_paginator("scan")
    pages = scan.paginate(TableName=table, **request)
    return [item["id"]["S"] for page in pages for item in page["Items"]]


def changes(aws: LocalAws, stream: str) -> list[tuple[str, str]]:
    """Return kind and id of each record of a stream."""
    streams = aws.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found: list[tuple[str, str]] = []
    while page := (answer := streams.get_records(ShardIterator=iterator))["Records"]:
        found += [(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"]) for record in page]
        iterator = answer["NextShardIterator"]
    return found


def test_answered_writes_survive_a_kill_and_transactions_are_whole(killable: Killable) -> None:
    stream = killable.aws.table("first", StreamSpecification=STREAM)["LatestStreamArn"]
    killable.aws.table("second")
    answered: list[str] = []
    numbers = itertools.count()

    def write(_: int) -> None:
        tables = killable.tables
        for number in numbers:
            name = f"{number:05}"
            both = [
                {"Put": {"TableName": table, "Item": put(name)}} for table in ("first", "second")
            ]
            try:
                if number % 3:
                    tables.transact_write_items(TransactItems=both)
                else:
                    tables.put_item(TableName="first", Item=put(name))
            except (BotoCoreError, ClientError):
                return
            answered.append(name)
            if len(answered) == 150:
                killable.kill()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    killable.start()
    first, second = names(killable.aws, "first"), names(killable.aws, "second")
    assert len(answered) >= 150
    assert set(answered) <= set(first)
    assert second == [name for name in first if int(name) % 3]
    assert sorted(changes(killable.aws, stream)) == [("INSERT", name) for name in first]
    table = killable.tables.describe_table(TableName="first")["Table"]
    assert table["ItemCount"] == len(first)
    killable.tables.delete_item(TableName="first", Key=put(first[0]))
    assert changes(killable.aws, stream)[-1] == ("REMOVE", first[0]), "the stream goes on"


def test_definitions_of_tables_survive_a_kill(killable: Killable) -> None:
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "owner")]
    killable.tables.create_table(
        TableName="indexed",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=types,
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[INDEX],
        Tags=[{"Key": "a", "Value": "b"}],
    )
    expiry = {"AttributeName": "until", "Enabled": True}
    killable.tables.update_time_to_live(TableName="indexed", TimeToLiveSpecification=expiry)
    killable.tables.put_item(TableName="indexed", Item=put("owned", owner="me"))
    killable.tables.put_item(TableName="indexed", Item=put("free"))
    killable.aws.table("deleted")
    killable.tables.put_item(TableName="deleted", Item=put("old"))
    killable.tables.delete_table(TableName="deleted")
    before = killable.tables.describe_table(TableName="indexed")["Table"]
    killable.kill()
    killable.start()
    assert killable.tables.list_tables()["TableNames"] == ["indexed"]
    assert killable.tables.describe_table(TableName="indexed")["Table"] == before
    ttl = killable.tables.describe_time_to_live(TableName="indexed")["TimeToLiveDescription"]
    assert ttl == {"AttributeName": "until", "TimeToLiveStatus": "ENABLED"}
    tags = killable.tables.list_tags_of_resource(ResourceArn=before["TableArn"])["Tags"]
    assert tags == [{"Key": "a", "Value": "b"}]
    owned = killable.tables.query(
        TableName="indexed",
        IndexName="Owners",
        KeyConditionExpression="#owner = :me",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":me": {"S": "me"}},
    )
    assert owned["Items"] == [put("owned", owner="me")]
    killable.aws.table("deleted")
    assert names(killable.aws, "deleted") == []


def test_a_transaction_that_is_repeated_after_a_kill_is_applied_once(killable: Killable) -> None:
    killable.aws.table("counted")
    request = {
        "TransactItems": [{"Update": {"TableName": "counted", **ADD_ONE}}],
        "ClientRequestToken": "the-same",
    }
    killable.tables.transact_write_items(**request)
    killable.kill()
    killable.start()
    killable.tables.transact_write_items(**request)
    item = killable.tables.get_item(TableName="counted", Key=COUNTER)["Item"]
    assert item["n"] == {"N": "1"}
    killable.tables.transact_write_items(**{**request, "ClientRequestToken": "another"})
    item = killable.tables.get_item(TableName="counted", Key=COUNTER)["Item"]
    assert item["n"] == {"N": "2"}


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Keep the server from writing its database until the block ends."""
    with closing(sqlite3.connect(state / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_write_that_cannot_be_stored_is_refused_and_changes_nothing(killable: Killable) -> None:
    stream = killable.aws.table("full", StreamSpecification=STREAM)["LatestStreamArn"]
    killable.tables.put_item(TableName="full", Item=put("before"))
    with locked(killable.state), pytest.raises(ClientError) as refused:
        killable.tables.put_item(TableName="full", Item=put("never"))
    assert refused.value.response["Error"]["Code"] == "InternalServerError"
    assert "could not store" in refused.value.response["Error"]["Message"]
    assert names(killable.aws, "full") == ["before"]
    killable.tables.put_item(TableName="full", Item=put("after"))
    assert names(killable.aws, "full") == ["after", "before"]
    assert changes(killable.aws, stream) == [("INSERT", "before"), ("INSERT", "after")]
    assert killable.tables.describe_table(TableName="full")["Table"]["ItemCount"] == 2


def test_a_scan_returns_each_item_once_on_pages_of_a_megabyte(aws: LocalAws) -> None:
    aws.table("scanned")
    tables = aws.client("dynamodb")
    expected = [f"{number:03}" for number in range(60)]
    for name in expected:
        tables.put_item(TableName="scanned", Item=put(name, text="x" * 50_000))
    page = tables.scan(TableName="scanned")
    assert (page["Count"], page["LastEvaluatedKey"]) == (20, put("019"))
    assert names(aws, "scanned") == expected
    assert names(aws, "scanned", PaginationConfig={"PageSize": 7}) == expected
    page = tables.scan(TableName="scanned", Limit=60)
    assert page["Count"] == 20
    page = tables.scan(TableName="scanned", Limit=5, ExclusiveStartKey=put("054"))
    assert (page["Count"], page["LastEvaluatedKey"]) == (5, put("059"))
    page = tables.scan(TableName="scanned", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert page["Items"] == []
    assert "LastEvaluatedKey" not in page


def test_expired_items_are_deleted(tmp_path: Path) -> None:
    settings = environment(4566, tmp_path, "us-east-1")
    ran = subprocess.run(
        [sys.executable, "-c", EXPIRY, str(tmp_path)],
        env={**os.environ, **settings, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["['future']", "1"]
