#!/bin/bash
# explore in parts by GNU parallel: explore-parallel.sh PARTS MODEL [options of explore]
# One part at a time on each machine, because parts on one machine would disturb each other's
# times. PARALLEL='--sshlogin host1,host2 --workdir .' spreads them over machines that share the
# folder of the model and have prune-compile on their PATH.
set -euo pipefail
parts=${1:?PARTS is missing}
model=${2:?MODEL is missing}
shift 2
seq "$parts" | parallel --jobs 1 --halt soon,fail=1 --quote \
  prune-compile explore "$model" --shard "{}/$parts" "$@"
prune-compile explore --merge "${model%.onnx}".explore.*-of-"$parts".json \
  --output "${model%.onnx}.explore.json"
