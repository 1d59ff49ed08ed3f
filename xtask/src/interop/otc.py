"""Checks that otcextensions logs in to the simulated service, waits for a job with its own method, and
refreshes an expired token."""

import json
import ssl
import sys
import urllib.request

import openstack
from otcextensions import sdk

started, ca_file = json.load(open(sys.argv[1])), sys.argv[2]

connection = openstack.connect(
    auth_url=started["endpoint"] + "/v3",
    username=started["user"],
    password=started["password"],
    user_domain_name=started["domain"],
    project_name=started["project_name"],
    project_domain_name=started["domain"],
    region_name=started["project_name"],
    interface="public",
    cacert=ca_file,
)
sdk.register_otc_extensions(connection)
first = connection.session.get_token()
print("otcextensions: logged in with a password")

before = connection.cce.get_job(started["jobs"][1])
assert before.status.status != "Success", "the job ended before the wait"
job = connection.cce.wait_for_job(started["jobs"][1], interval=1, wait=60)
assert job.id == started["jobs"][1], job
assert job.status.status == "Success", job
print(f"otcextensions: wait_for_job ended: {job.status.status}")

expire = urllib.request.Request(started["endpoint"] + "/simulation/expire-tokens", method="POST")
urllib.request.urlopen(expire, context=ssl.create_default_context(cafile=ca_file)).read()
job = connection.cce.get_job(started["job"])
assert job.id == started["job"], job
second = connection.session.get_token()
assert first != second, "the expired token is still in use"
print("otcextensions: refreshed an expired token")
