"""Checks that the vendor's SDK reads a job of the simulated service with requests that it signs itself."""

import json
import sys

from huaweicloudsdkcce.v3 import CceClient, ShowJobRequest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig

started, ca_file = json.load(open(sys.argv[1])), sys.argv[2]


def client(secret_key):
    config = HttpConfig.get_default_config()
    config.ssl_ca_cert = ca_file
    config.retry_times = 0
    key = BasicCredentials(started["access_key"], secret_key, started["project"])
    builder = CceClient.new_builder().with_credentials(key).with_http_config(config)
    return builder.with_endpoint(started["endpoint"]).build()


def code(job_id, secret_key):
    try:
        client(secret_key).show_job(ShowJobRequest(job_id=job_id))
    except ClientRequestException as error:
        return error.status_code, error.error_code
    raise AssertionError("expected an error, but the service returned a job")


job = client(started["secret_key"]).show_job(ShowJobRequest(job_id=started["job"]))
assert job.kind == "Job", job
assert job.metadata.uid == started["job"], job.metadata
assert job.spec.type == "CreateCluster", job.spec
assert job.status.phase in ("Initializing", "Running", "Success"), job.status
print(f"vendor SDK: read a job with a signed request: {job.spec.type} {job.status.phase}")

missing = code("no-such-job", started["secret_key"])
assert missing == (404, "CCE.01404001"), missing
print(f"vendor SDK: an unknown job gives {missing}")

wrong = code(started["job"], "wrong")
assert wrong == (401, "APIGW.0301"), wrong
print(f"vendor SDK: a wrong secret key gives {wrong}")
