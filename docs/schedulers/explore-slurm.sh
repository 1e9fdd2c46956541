#!/bin/bash
# explore in parts by a SLURM array: sbatch explore-slurm.sh MODEL [options of explore]
# The folder of the model is shared. A part that ran out of time goes on when it is submitted again.
#SBATCH --job-name=prune-compile-explore
#SBATCH --array=1-8
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --time=01:00:00
#SBATCH --requeue
set -euo pipefail
model=${1:?MODEL is missing}
shift
prune-compile explore "$model" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
