"""The URIs of SageMaker's images in each region, without the SageMaker SDK, which is 1 GB.

Source: `image_uri_config/xgboost.json` of the SageMaker SDK 3.27, in which the tags 1.7-1, 3.0-5
and 3.2-0 have the same accounts; `image_uri_config/linear-learner.json` of the SDK, commit 088b7ac.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

TAGS = ("1.7-1", "3.0-5", "3.2-0")
ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-iso-east-1": "833128469047",
    "us-isob-east-1": "281123927165",
    "us-isof-east-1": "108575199400",
    "us-isof-south-1": "124985052026",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
LINEAR_LEARNER_ACCOUNTS = {
    "af-south-1": "455444449433",
    "ap-east-1": "286214385809",
    "ap-northeast-1": "351501993468",
    "ap-northeast-2": "835164637446",
    "ap-northeast-3": "364406365360",
    "ap-south-1": "991648021394",
    "ap-southeast-1": "475088953585",
    "ap-southeast-2": "712309505854",
    "ca-central-1": "469771592824",
    "cn-north-1": "390948362332",
    "cn-northwest-1": "387376663083",
    "eu-central-1": "664544806723",
    "eu-north-1": "669576153137",
    "eu-south-1": "257386234256",
    "eu-west-1": "438346466558",
    "eu-west-2": "644912444149",
    "eu-west-3": "749696950732",
    "me-south-1": "249704162688",
    "sa-east-1": "855470959533",
    "us-east-1": "382416733822",
    "us-east-2": "404615174143",
    "us-gov-west-1": "226302683700",
    "us-iso-east-1": "490574956308",
    "us-west-1": "632365934929",
    "us-west-2": "174872318107",
}
_DOMAINS = (  # the first matching prefix wins, so longer ones come first
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("cn-", "amazonaws.com.cn"),
    ("", "amazonaws.com"),
)


def xgboost_image_uri(region: str, tag: str) -> str:
    """Return the URI of SageMaker's XGBoost image.

    Raises:
        SettingsInvalid: for a region or tag without an image; the message lists the others.
    """
    if tag not in TAGS:
        raise SettingsInvalid(f"image tag {tag!r} is not known; allowed: {', '.join(TAGS)}")
    return _uri("XGBoost", ACCOUNTS, region, f"sagemaker-xgboost:{tag}")


def linear_learner_image_uri(region: str) -> str:
    """Return the URI of SageMaker's linear-learner image.

    Raises:
        SettingsInvalid: for a region without an image; the message lists the others.
    """
    return _uri("linear-learner", LINEAR_LEARNER_ACCOUNTS, region, "linear-learner:1")


def registry_of(account: str, region: str) -> str:
    """Return the host of the private ECR registry of an account."""
    domain = next(domain for prefix, domain in _DOMAINS if region.startswith(prefix))
    return f"{account}.dkr.ecr.{region}.{domain}"


def _uri(title: str, accounts: Mapping[str, str], region: str, image: str) -> str:
    if region not in accounts:
        raise SettingsInvalid(
            f"SageMaker's {title} image is not offered in region {region!r}; "
            f"it is in {', '.join(sorted(accounts))}"
        )
    return f"{registry_of(accounts[region], region)}/{image}"
