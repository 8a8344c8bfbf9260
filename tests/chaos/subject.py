"""The model that a fault meets: its drops, its state, and what is demanded of it afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests
from botocore.exceptions import BotoCoreError, ClientError
from refit.domain.vocabulary import RunStatus

from tests.chaos.counting_client import CountingClient
from tests.chaos.fault import NotSurvived
from tests.e2e.driver import wait_for
from tests.e2e.hostility import open_runs

if TYPE_CHECKING:
    from random import Random

    from tests.chaos.counting_client import Answered, Difference
    from tests.chaos.own_stack import OwnStack
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

# Each drop has the same rows, so that no gate refuses it; its training takes about a second.
SETTINGS = """
[gate]
margin = 1
[training.hyperparameters]
num_round = 40
"""
DROP_ROWS = 300
RUN_S = 600.0
"""Until a run has ended, and until the next one is deployed."""
COUNT_S = 400.0
"""Until all is counted: longer than a function that was killed at its work keeps its messages."""
POLL_S = 0.25


class Subject:
    """A live model with traffic.

    Attributes:
        random: draws the moments of faults, from the seed and the fault's name.
        note: what a person may want to know of the fault beside the figures.
        count_s: until all is counted.
        injected_at: when the fault was injected last, if it goes on for longer.
    """

    def __init__(
        self,
        user: User,
        digits: Digits,
        model: str,
        settings: str = "",
        own_stack: OwnStack | None = None,
    ) -> None:
        self.user = user
        self.digits = digits
        self.model = model
        self.client = CountingClient(user, model, digits)
        self.random: Random
        self.note = ""
        self.count_s = COUNT_S
        self.injected_at: float | None = None
        self._own_stack = own_stack
        self._settings = SETTINGS + settings
        self._drops = 0

    @property
    def last_drop(self) -> str:
        """Name of the file that was dropped last."""
        return f"drop-{self._drops:03d}.csv"

    @property
    def own_stack(self) -> OwnStack:
        assert self._own_stack is not None, "the fault has no stack of its own"
        return self._own_stack

    def begin(self) -> None:
        """Make the first version live."""
        self.drop()
        self.require_deployed()

    def drop(self) -> None:
        """Drop another file of the same rows."""
        body = self.digits.csv(slice(0, DROP_ROWS))
        settings = self._settings if self._drops == 0 else None
        self._drops += 1
        self.user.drop(self.model, {self.last_drop: body}, settings)

    def put_settings(self) -> None:
        """Write model.toml again, as it was at the first drop."""
        self.user.client("s3").put_object(
            Bucket=self.user.bucket, Key=f"{self.model}/model.toml", Body=self._settings.encode()
        )

    def last_run(self) -> dict[str, Any]:
        """Return the newest run, or an empty dictionary."""
        runs = self.user.runs(self.model)
        return runs[-1] if runs else {}

    def wait_for_new_run(self, before: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """Wait until a run that is newer than `before` has one of the statuses, or any."""

        def run() -> dict[str, Any] | None:
            last = self.last_run()
            if not last or last["run"] == before.get("run"):
                return None
            return last if not statuses or last["status"] in statuses else None

        wanted = " or ".join(statuses) or "any status"
        return self.wait(run, f"a new run with {wanted}")

    def wait(self, check: Any, what: str, timeout_s: float = RUN_S) -> Any:
        """Poll until the check returns something other than None.

        Raises:
            NotSurvived: after the timeout; with the state of the model.
        """
        try:
            return wait_for(check, what, timeout_s, POLL_S)
        except AssertionError as error:
            raise NotSurvived(f"waited {timeout_s:.0f} s for {what}: {self.describe()}") from error

    def wait_until_at_rest(self) -> None:
        """Wait until no run is open and no lock is held."""
        self.wait(lambda: None if open_runs(self.user, self.model) else True, "rest")

    def require_deployed(self) -> None:
        """Wait for the end of the last drop's run, which must be deployed.

        Raises:
            NotSurvived: when it is not, or a lock stays.
        """
        key = f"{self.model}/raw/{self.last_drop}"

        def run() -> dict[str, Any] | None:
            last = self.last_run()
            if not last or not RunStatus(last["status"]).is_final:
                return None
            return last if key in self._files_of(last) else None

        last = self.wait(run, f"the end of the run of {key}")
        if last["status"] != RunStatus.DEPLOYED:
            raise NotSurvived(
                f"the next drop was {last['status']}: {last.get('error')}: {last.get('message')}"
            )
        self.wait_until_at_rest()

    def require_all_drops_read(self) -> None:
        """Wait until each file that was dropped is in a run."""
        dropped = {
            f"{self.model}/raw/drop-{number:03d}.csv" for number in range(1, self._drops + 1)
        }

        def are_read() -> bool | None:
            read = {key for run in self.user.runs(self.model) for key in self._files_of(run)}
            return dropped <= read or None

        self.wait(are_read, "a run for each dropped file")

    def wait_until_exact(self) -> Difference:
        """Wait until the counters agree with the client's; return the difference that stays."""
        with self.client.pause():
            self.client.flush()
            deadline = time.monotonic() + self.count_s
            while (difference := self.client.difference()) and time.monotonic() < deadline:
                time.sleep(POLL_S)
        return difference

    def require_exact(self) -> None:
        """Wait until the counters agree with the client's.

        Raises:
            NotSurvived: when they do not.
        """
        if difference := self.wait_until_exact():
            raise NotSurvived(f"not counted exactly: {difference.text}")

    def predicted(self, rows: int = 10) -> Answered:
        """Return answered predictions, without labels, that are recorded."""
        answered: Answered = self.wait(lambda: self.client.predict(rows), "predictions")
        table, dynamodb = self.user.outputs["InferenceTableName"], self.user.client("dynamodb")

        def are_recorded() -> bool | None:
            keys = [{"id": {"S": f"{self.model}#{name}"}} for name in answered.labels]
            read = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"]
            return len(read[table]) == len(keys) or None

        self.wait(are_recorded, "the ingestion of predictions")
        return answered

    def label(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send labels until they are accepted; return the result of each."""

        def results() -> list[dict[str, Any]] | None:
            try:
                response = self.user.post_labels(self.model, records)
            except requests.RequestException:
                return None
            if response.status_code != requests.codes.accepted:
                return None
            accepted: list[dict[str, Any]] = response.json()["results"]
            return accepted

        labelled: list[dict[str, Any]] = self.wait(results, "accepted labels")
        return labelled

    def describe(self) -> str:
        """Return what is open, for the message of a failure."""
        try:
            last = self.last_run()
            state = [f"{last['status']}: {last.get('message')}"] if last else ["no run"]
            return "; ".join(open_runs(self.user, self.model) + state)
        except (ClientError, BotoCoreError, OSError) as error:
            return f"the stack does not answer: {error}"

    def _files_of(self, run: dict[str, Any]) -> set[str]:
        drop = self.user.read_json(f"{self.model}/runs/{run['run']}/drop.json")
        return {file["key"] for file in drop["files"]}

    def move_to(self, user: User) -> None:
        """Go on with a stack that was started again with its state."""
        self.user = self.client.user = user

    def start_anew(self, user: User) -> None:
        """Go on with a stack that was started without state: the model and all counts are gone."""
        self.client.expected.clear()
        self.client.forget_pending()
        self.client.unanswered = 0
        self._drops = 0
        self.move_to(user)
