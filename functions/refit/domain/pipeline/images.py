"""The URI of the XGBoost image in each region, without the SageMaker SDK, which is 1 GB.

Source: `image_uri_config/xgboost.json` of the SageMaker SDK 3.27; the tags 1.7-1, 3.0-5 and 3.2-0
have the same accounts.
"""

from __future__ import annotations

from refit.domain.errors import SettingsInvalid

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
    if region not in ACCOUNTS:
        raise SettingsInvalid(
            f"SageMaker's XGBoost image is not offered in region {region!r}; "
            f"it is in {', '.join(sorted(ACCOUNTS))}"
        )
    if tag not in TAGS:
        raise SettingsInvalid(f"image tag {tag!r} is not known; allowed: {', '.join(TAGS)}")
    domain = next(domain for prefix, domain in _DOMAINS if region.startswith(prefix))
    return f"{ACCOUNTS[region]}.dkr.ecr.{region}.{domain}/sagemaker-xgboost:{tag}"
