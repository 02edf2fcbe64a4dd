"""Serves moto's S3 with one bucket on a free port of 127.0.0.1. Prints the address, and ends when its input does.

Argument: the bucket's name. The bucket is written to memory, where moto keeps everything.
"""

import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=sys.argv[1])
print(endpoint, flush=True)
sys.stdin.read()
server.stop()
