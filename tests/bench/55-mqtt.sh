#!/usr/bin/env bash
# MQTT through mosquitto: a show compared with bare sockets, and channels that eight shows share.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench mqtt
