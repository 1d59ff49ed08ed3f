"""Checks that the vendor SDK's chain of credentials and `cce-job` log in as the same identity, given the same
environment. Starts the simulated service itself, so that both can be in a network of their own."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from huaweicloudsdkcce.v3 import CceClient, ShowJobRequest
from huaweicloudsdkcore.auth.provider import (
    CredentialProviderChain,
    MetadataCredentialProvider,
    PodIdentityCredentialProvider,
)
from huaweicloudsdkcore.http.http_config import HttpConfig

command, has_own_network = sys.argv[1], sys.argv[2] == "own-network"
folder = Path(tempfile.mkdtemp())
ca_file = str(folder / "ca.pem")
metadata_address = "169.254.169.254:80" if has_own_network else "127.0.0.1:0"
sim = subprocess.Popen(
    [command, "sim", "--speed", "1", "--ca-file", ca_file, "--metadata", metadata_address],
    stdout=subprocess.PIPE,
    text=True,
)
started = json.loads(sim.stdout.readline())
endpoint = started["endpoint"]


def file(name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def last_caller():
    context = ssl.create_default_context(cafile=ca_file)
    reply = urllib.request.urlopen(endpoint + "/simulation/caller", context=context)
    return json.load(reply)["caller"]


def vendor(variables, source):
    """Reads the job with these credentials of the SDK, and returns who the service says it was."""
    known = [name for name in os.environ if name.startswith(("HUAWEICLOUD_", "HC_", "HOME"))]
    saved = {name: os.environ.pop(name) for name in known}
    os.environ.update({"HOME": str(folder / "empty"), **variables})
    try:
        credentials = source.get_basic().get_credentials()
        credentials.with_project_id(started["project"])
        config = HttpConfig.get_default_config()
        config.ssl_ca_cert = ca_file
        config.retry_times = 0
        builder = CceClient.new_builder().with_credentials(credentials).with_http_config(config)
        client = builder.with_endpoint(endpoint).build()
        job = client.show_job(ShowJobRequest(job_id=started["job"]))
        assert job.metadata.uid == started["job"], job
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(saved)
    return last_caller()


def ours(variables, flags):
    """Reads the job with `cce-job`, and returns who the service says it was."""
    environment = {"HOME": str(folder / "empty"), "PATH": os.environ["PATH"], **variables}
    arguments = ["get", started["job"], "--endpoint", endpoint, "--ca-file", ca_file]
    arguments += ["--project", started["project"], *flags]
    done = subprocess.run([command, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"cce-job exited with {done.returncode}: {done.stderr}"
    return last_caller()


key = {"HUAWEICLOUD_SDK_AK": started["access_key"], "HUAWEICLOUD_SDK_SK": started["secret_key"]}
iam = {"HUAWEICLOUD_SDK_IAM_ENDPOINT": endpoint}
oidc = {
    "HUAWEICLOUD_OIDC_PROVIDER_URN": started["provider_urn"],
    "HUAWEICLOUD_OIDC_AGENCY_URN": started["agency_urn"],
    "HUAWEICLOUD_SDK_STS_ENDPOINT": endpoint,
}
id_token = file("id-token", started["id_token"])
profile = file(
    "credentials", f"[basic]\nak = {started['access_key']}\nsk = {started['secret_key']}\n"
)
federated_profile = file(
    "federated",
    f"[basic]\nidp_id = {started['identity_provider']}\nid_token_file = {id_token}\niam_endpoint = {endpoint}\n",
)
pod = {
    "HC_CONTAINER_CREDENTIALS_FULL_URI": started["metadata"] + "/v1/credentials",
    "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": file("pod-token", started["pod_token"]),
}

CHAIN = CredentialProviderChain
ROWS = [
    ("environment", CHAIN, key, []),
    ("profile", CHAIN, {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": profile}, []),
    (
        "OIDC login",
        CHAIN,
        {
            "HUAWEICLOUD_SDK_IDP_ID": started["identity_provider"],
            "HUAWEICLOUD_SDK_ID_TOKEN_FILE": id_token,
            **iam,
        },
        [],
    ),
    (
        "OIDC login in a profile",
        CHAIN,
        {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": federated_profile},
        [],
    ),
    ("OIDC agency", CHAIN, {**oidc, "HUAWEICLOUD_OIDC_ID_TOKEN": started["id_token"]}, []),
    ("OIDC agency with a file", CHAIN, {**oidc, "HUAWEICLOUD_OIDC_TOKEN_FILE": id_token}, []),
    # OIDC comes before the variables of a key.
    ("OIDC agency beside a key", CHAIN, {**key, **oidc, "HUAWEICLOUD_OIDC_TOKEN_FILE": id_token}, []),
    # In the SDK's chain, pod identity comes after the metadata service. `cce-job` never asks
    # it unasked.
    ("pod identity", PodIdentityCredentialProvider, pod, []),
]
if has_own_network:
    ROWS.append(("metadata", MetadataCredentialProvider, {}, ["--auth", "metadata"]))
else:
    print("chain: SKIPPED: metadata needs a network of its own (unshare)")

try:
    for name, source, variables, flags in ROWS:
        theirs, own = vendor(variables, source), ours(variables, flags)
        assert theirs == own, f"{name}: the vendor's SDK is {theirs}, cce-job is {own}"
        print(f"chain: {name}: both are the {own}")
finally:
    sim.kill()
    sim.wait()
