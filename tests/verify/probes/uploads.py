"""S3: uploads of one key that overlap."""

from __future__ import annotations

from tests.verify.probes.base import DIFFERS, HOLDS, Answer, Lab, Probe

# No rule of the stack matches it.
KEY = "_probe/overlapping-uploads"


class OverlappingUploads(Probe):
    name = "overlapping-uploads"
    assumption = "Of overlapping uploads of a key, the one that began last is the current version."
    question = "Which version is current: the one that began last, or the one completed last?"

    def ask(self, lab: Lab) -> Answer:
        bucket, s3 = lab.outputs["BucketName"], lab.client("s3")
        upload = s3.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
        part = {"Bucket": bucket, "Key": KEY, "UploadId": upload}
        tag = s3.upload_part(**part, PartNumber=1, Body=b"began first")["ETag"]
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"began last")
        parts = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
        s3.complete_multipart_upload(**part, MultipartUpload=parts)
        current = s3.get_object(Bucket=bucket, Key=KEY)["Body"].read().decode()
        for version in s3.list_object_versions(Bucket=bucket, Prefix=KEY)["Versions"]:
            lab.evidence.append(
                f"{version['LastModified'].isoformat()} latest={version['IsLatest']}"
            )
            s3.delete_object(Bucket=bucket, Key=KEY, VersionId=version["VersionId"])
        verdict = HOLDS if current == "began last" else DIFFERS
        return Answer(verdict, f"The one that {current}.")
