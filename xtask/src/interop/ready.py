"""Reads a cluster of the simulated service with the vendor's SDK until it is ready, and prints when that was."""

import json
import sys
import time

from huaweicloudsdkcce.v3 import CceClient, ShowClusterRequest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig

started, ca_file = json.load(open(sys.argv[1])), sys.argv[2]

config = HttpConfig.get_default_config()
config.ssl_ca_cert = ca_file
key = BasicCredentials(started["access_key"], started["secret_key"], started["project"])
builder = CceClient.new_builder().with_credentials(key).with_http_config(config)
client = builder.with_endpoint(started["endpoint"]).build()

phases = []
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    cluster = client.show_cluster(ShowClusterRequest(cluster_id=started["cluster"]))
    assert cluster.metadata.uid == started["cluster"], cluster.metadata
    if cluster.status.phase not in phases:
        phases.append(cluster.status.phase)
    if cluster.status.phase == "Available":
        break
    time.sleep(started["interval"])
assert phases == ["Creating", "Available"], f"the client has started too late: {phases}"
print(f"ready {time.time():.3f}")
