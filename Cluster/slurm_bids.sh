#!/bin/bash
# A BIDS data set as a SLURM job array; the group level comes when all tasks are done:
#
#     job=$(sbatch --parsable --array=1-20 Cluster/slurm_bids.sh DATASET DATASET/derivatives/hipposeg)
#     sbatch --dependency=afterany:$job --wrap "hipposeg-bids DATASET DATASET/derivatives/hipposeg group"
#
# To repeat single tasks: PARTS=20 sbatch --array=3,7 Cluster/slurm_bids.sh DATASET OUT. In a container:
# HIPPOSEG_BIDS="apptainer run --cleanenv hipposeg.sif" sbatch ...
#SBATCH --job-name=hipposeg-bids
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=2500M
#SBATCH --time=08:00:00
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: sbatch --array=1-N $0 DATASET OUT [options]" >&2
    exit 64
fi
dataset=$1 output=$2
shift 2
parts=${PARTS:-${SLURM_ARRAY_TASK_MAX:?this is a script for job arrays: sbatch --array=1-N}}
# shellcheck disable=SC2086
exec ${HIPPOSEG_BIDS:-hipposeg-bids} "$dataset" "$output" participant --shard "$SLURM_ARRAY_TASK_ID/$parts" \
    --n-cpus "${SLURM_CPUS_PER_TASK:-1}" --mem "${SLURM_MEM_PER_NODE:-2500}" "$@"
